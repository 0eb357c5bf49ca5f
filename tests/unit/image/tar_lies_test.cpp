// SPDX-License-Identifier: Apache-2.0
// Where a tar's headers can lie: every row is a tar that must not get a fingerprint, or the one
// that Go's archive/tar would give it, which the runtimes unpack with
// (docs/adr/0002-own-tar-reader.md).
#include <catch2/catch.hpp>

#include "common/image/tar_layer.h"
#include "common/image/tar_reader.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::tar_item;
using assay::tests::tar_link;
using assay::tests::TarBuilder;
using assay::tests::TarItem;

namespace {

using Records = std::vector<std::pair<std::string, std::string>>;

TarItem patched(TarItem made, std::size_t offset, const std::string& bytes) {
  made.patches.emplace_back(offset, bytes);
  return made;
}

std::string tar(const std::vector<TarItem>& items) {
  TarBuilder builder;
  for (const TarItem& each : items)
    builder.add(each);
  return builder.finish();
}

std::string tar(const Records& pax, const TarItem& of) {
  return TarBuilder().pax(pax).add(of).finish();
}

std::string sparse_1_0(std::string map, const std::string& data, const std::string& size) {
  map.resize((map.size() + 511) / 512 * 512);
  return tar({{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.realsize", size}},
             tar_item("s", '0', map + data));
}

struct Lie {
  std::string name;
  std::string tar;
  ErrorCode code;
  std::string words;  // that the message has
};

std::string base256(std::size_t width, char first, char rest) {
  return first + std::string(width - 1, rest);
}

std::vector<Lie> number_lies() {
  return {
      {"a negative size", tar({patched(tar_item("a"), 124, base256(12, '\xff', '\xff'))}),
       ErrorCode::kCorrupt, "negative"},
      {"a size beyond 63 bits", tar({patched(tar_item("a"), 124, base256(12, '\x80', '\xff'))}),
       ErrorCode::kCorrupt, "does not fit"},
      {"a size beyond every limit",
       tar({patched(tar_item("a"), 124, std::string("\x80\0\0\0\x7f", 5) + std::string(7, '\0'))}),
       ErrorCode::kLimitExceeded, "bytes"},
      {"a size that is text", tar({patched(tar_item("a"), 124, "size")}), ErrorCode::kCorrupt,
       "no octal number"},
      {"a PAX size larger than the data", tar({{"size", "99999"}}, tar_item("a", '0', "x")),
       ErrorCode::kCorrupt, "truncated"},
      {"a negative PAX size", tar({{"size", "-1"}}, tar_item("a")), ErrorCode::kCorrupt,
       "no number"},
      {"a PAX size beyond 63 bits", tar({{"size", "9223372036854775808"}}, tar_item("a")),
       ErrorCode::kCorrupt, "no number"},
      {"a negative uid", tar({patched(tar_item("a"), 108, base256(8, '\xff', '\xff'))}),
       ErrorCode::kCorrupt, "uid -1"},
      {"the uid that chown leaves alone", tar({{"uid", "4294967295"}}, tar_item("a")),
       ErrorCode::kCorrupt, "uid 4294967295"},
      {"a gid beyond 32 bits", tar({{"gid", "4294967296"}}, tar_item("a")), ErrorCode::kCorrupt,
       "gid 4294967296"},
      {"a device that Linux does not have", tar({patched(tar_item("a", '3'), 329, "0010000")}),
       ErrorCode::kCorrupt, "device major 4096"},
      {"a PAX time that is text", tar({{"mtime", "noon"}}, tar_item("a")), ErrorCode::kCorrupt,
       "no number"},
  };
}

std::vector<Lie> name_lies() {
  const std::string long_name(600, 'n');
  return {
      {"a long name that ends too early",
       TarBuilder().add(tar_item("x", 'L', long_name)).bytes().substr(0, 900), ErrorCode::kCorrupt,
       "truncated inside an extended header"},
      {"a long name of nobody", TarBuilder().add(tar_item("x", 'L', long_name)).finish(),
       ErrorCode::kCorrupt, "ends after an extended header"},
      {"a NUL in a PAX path", tar({{"path", std::string("a\0b", 3)}}, tar_item("x")),
       ErrorCode::kCorrupt, "NUL"},
      {"a PAX record longer than its header",
       TarBuilder().add(tar_item("x", 'x', "99 path=a\n")).finish(), ErrorCode::kCorrupt,
       "length is wrong"},
      {"a PAX record without a line's end",
       TarBuilder().add(tar_item("x", 'x', "10 path=ab")).finish(), ErrorCode::kCorrupt,
       "length is wrong"},
      {"a path longer than the kernel's", tar({{"path", std::string(4097, 'p')}}, tar_item("x")),
       ErrorCode::kLimitExceeded, "longer than 4096 bytes"},
      {"a link target longer than the kernel's",
       tar({{"linkpath", std::string(4096, 't')}}, tar_link("a", '2', "t")),
       ErrorCode::kLimitExceeded, "target longer than 4095"},
      {"an attribute longer than the kernel's",
       tar({{"SCHILY.xattr.user.a", std::string(65'537, 'v')}}, tar_item("a")),
       ErrorCode::kLimitExceeded, "longer than Linux allows"},
      {"hard links in a circle",
       tar({tar_link("a", '1', "b"), tar_link("b", '1', "c"), tar_link("c", '1', "a")}),
       ErrorCode::kCorrupt, "circle"},
      {"a hard link to itself", tar({tar_link("a", '1', "./a")}), ErrorCode::kCorrupt, "itself"},
      {"a hard link to nothing", tar({tar_link("a", '1', "b")}), ErrorCode::kCorrupt, "not there"},
      {"a hard link to the root", tar({tar_link("a", '1', "/")}), ErrorCode::kCorrupt,
       "empty path"},
      {"a member below a file", tar({tar_item("a"), tar_item("a/b")}), ErrorCode::kCorrupt,
       "no directory"},
      {"a member below a link that leads out",
       tar({tar_link("a", '2', "../../etc"), tar_item("a/b")}), ErrorCode::kCorrupt,
       "no directory here"},
      {"links that lead to one another",
       tar({tar_link("a", '2', "b"), tar_link("b", '2', "a"), tar_item("a/x")}),
       ErrorCode::kCorrupt, "too many symbolic links"},
      {"a root that is a file", tar({tar_item("./", '0', "x")}), ErrorCode::kCorrupt, "root"},
  };
}

std::vector<Lie> sparse_lies() {
  return {
      {"a sparse map without an end", sparse_1_0("3\n0\n1\n5\n", "x", "100"), ErrorCode::kCorrupt,
       "sparse map"},
      {"a sparse map with more pieces than memory",
       sparse_1_0("99999999\n" + std::string(500, '1'), "x", "100"), ErrorCode::kLimitExceeded,
       "pieces"},
      {"sparse pieces that overlap", sparse_1_0("2\n0\n3\n2\n3\n", "xxxyyy", "100"),
       ErrorCode::kCorrupt, "does not fit the file"},
      {"a sparse piece that wraps around", sparse_1_0("1\n9223372036854775807\n9\n", "x", "100"),
       ErrorCode::kCorrupt, "does not fit the file"},
      {"sparse data left over", sparse_1_0("1\n0\n1\n", "xyz", "100"), ErrorCode::kCorrupt,
       "does not fit its data"},
      {"a sparse file with a size that is no number", sparse_1_0("1\n0\n1\n", "x", "big"),
       ErrorCode::kCorrupt, "no number"},
      {"a hole larger than every limit", sparse_1_0("0\n", "", "9223372036854775807"),
       ErrorCode::kLimitExceeded, "bytes"},
      {"a sparse header that is not GNU's", tar({tar_item("a", 'S')}), ErrorCode::kUnsupported,
       "GNU tar"},
  };
}

Result<LayerFingerprint> fingerprint(const std::string& bytes) {
  MemorySource source(bytes);
  return fingerprint_tar(source, Scope::kContent, {});
}

TarMember first_member(const std::string& bytes) {
  MemorySource source(bytes);
  TarReader reader(source);
  TarMember member;
  const auto has_member = reader.next(member);
  if (!has_member) FAIL(has_member.error().text());
  REQUIRE(*has_member);
  return member;
}

// A row on which readers are known to differ, with what Go makes of it.
struct Difference {
  std::string name;
  std::string tar;
  std::string path;
  std::uint64_t size = 0;
};

std::vector<Difference> differences() {
  const std::string five = "12345";
  return {
      // libarchive before 3.7.5 takes the first of two paths.
      {"two paths in one PAX header", tar({{"path", "first"}, {"path", "second"}}, tar_item("x")),
       "second"},
      {"two PAX headers",
       TarBuilder()
           .pax({{"path", "first"}, {"uid", "7"}})
           .pax({{"path", "second"}})
           .add(tar_item("x"))
           .finish(),
       "second"},
      {"an empty PAX path takes the other back",
       tar({{"path", "lost"}, {"path", ""}}, tar_item("x")), "x"},
      // libarchive and GNU tar take whichever stands later.
      {"a GNU long name before a PAX path",
       TarBuilder()
           .add(tar_item("l", 'L', "gnu"))
           .pax({{"path", "pax"}})
           .add(tar_item("x"))
           .finish(),
       "gnu"},
      // libarchive before 3.8.0 compares it with the ustar size.
      {"a PAX size against the ustar size", tar({{"size", "3"}}, tar_item("x", '0', five)), "x", 3},
      {"a PAX size for a directory", tar({{"size", "600"}}, tar_item("d", '5')), "d"},
      // GNU tar makes a directory of it.
      {"a file with a slash behind its name", tar({tar_item("x/", '0', five)}), "x", 5},
      {"an old header with a slash behind its name",
       tar({patched(tar_item("d/", '\0'), 257, std::string(8, '\0'))}), "d"},
      // Other readers take a global path, or keep the extensions before it.
      {"a global PAX path",
       TarBuilder().add(tar_item("g", 'g', "13 path=lost\n")).add(tar_item("x")).finish(), "x"},
      {"a PAX path before a global header",
       TarBuilder()
           .pax({{"path", "lost"}})
           .add(tar_item("g", 'g', "13 path=lost\n"))
           .add(tar_item("x"))
           .finish(),
       "x"},
      // A name that belongs to a sparse format counts only with its map.
      {"a sparse name without a map", tar({{"GNU.sparse.name", "lost"}}, tar_item("x", '0', five)),
       "x", 5},
      {"a sparse format of the future",
       tar({{"GNU.sparse.major", "2"},
            {"GNU.sparse.minor", "0"},
            {"GNU.sparse.realsize", "1"},
            {"GNU.sparse.name", "lost"}},
           tar_item("x", '0', five)),
       "x", 5},
      // Only Go reads the prefix of a GNU header, and only where its times are no numbers.
      {"a prefix in a GNU header",
       tar({patched(patched(tar_item("x"), 257, std::string("ustar  \0", 8)), 345, "go")}), "go/x"},
      {"times in a GNU header",
       tar({patched(patched(tar_item("x"), 257, std::string("ustar  \0", 8)), 345, "14000000000")}),
       "x"},
      {"a prefix in an old header",
       tar({patched(patched(tar_item("x"), 257, std::string(8, '\0')), 345, "go")}), "x"},
  };
}

}  // namespace

TEST_CASE("a tar that lies has no fingerprint, and the error says where", "[image][unit]") {
  std::vector<Lie> lies = number_lies();
  for (auto more : {name_lies(), sparse_lies()})
    lies.insert(lies.end(), more.begin(), more.end());
  for (const Lie& lie : lies) {
    CAPTURE(lie.name);
    const auto result = fingerprint(lie.tar);
    REQUIRE_FALSE(result);
    CAPTURE(result.error().message);
    CHECK(result.error().code == lie.code);
    CHECK(result.error().message.find(lie.words) != std::string::npos);
  }
}

TEST_CASE("where readers of tars differ, Go's reading counts", "[image][unit]") {
  for (const Difference& row : differences()) {
    CAPTURE(row.name);
    const Entry entry = first_member(row.tar).entry;
    CHECK(entry.path == row.path);
    CHECK(entry.size == row.size);
  }
}

TEST_CASE("a tar may end without the zeros that fill up its last member", "[image][unit]") {
  const std::string whole = TarBuilder().add(tar_item("a", '0', "x")).finish();
  const auto cut = fingerprint(whole.substr(0, 512 + 1));
  REQUIRE(cut);
  CHECK(cut->content == fingerprint(whole)->content);
}

TEST_CASE("a file of more than 8 GiB is counted without reading it", "[image][unit]") {
  constexpr std::uint64_t kSize = 9ULL << 30;
  const std::string header =
      TarBuilder().pax({{"size", std::to_string(kSize)}}).add(tar_item("big")).bytes();
  class Zeros final : public ByteSource {
   public:
    Zeros(std::string_view head, std::uint64_t zeros) : head_(head), zeros_(zeros) {}
    Result<std::size_t> read(std::span<char> out) override {
      const std::size_t part = std::min(out.size(), head_.size());
      std::copy_n(head_.begin(), part, out.begin());
      head_.remove_prefix(part);
      if (part > 0) return part;
      const std::size_t rest =
          static_cast<std::size_t>(std::min<std::uint64_t>(zeros_, out.size()));
      std::fill_n(out.begin(), rest, '\0');
      zeros_ -= rest;
      return rest;
    }
    Result<void> skip(std::uint64_t bytes) override {
      if (bytes > zeros_) return Error{ErrorCode::kCorrupt, "truncated"};
      zeros_ -= bytes;
      return ok();
    }

   private:
    std::string_view head_;
    std::uint64_t zeros_;
  };
  Zeros source(header, kSize + 1024);
  const auto result = fingerprint_tar(source, Scope::kShape, {});
  REQUIRE(result);
  CHECK(result->content_bytes == kSize);
  Zeros short_source(header, kSize - 1);
  CHECK_FALSE(fingerprint_tar(short_source, Scope::kShape, {}));
}
