// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_layer.h"

#include <catch2/catch.hpp>

#include <clocale>

#include "common/image/tar_reader.h"
#include "common/image/verity.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::tar_item;
using assay::tests::tar_link;
using assay::tests::TarBuilder;
using assay::tests::TarItem;

namespace {

Result<LayerFingerprint> fingerprint(const std::string& tar) {
  MemorySource source(tar);
  return fingerprint_tar(source, Scope::kContent, {});
}

LayerFingerprint must(const std::string& tar) {
  auto result = fingerprint(tar);
  if (!result) FAIL(result.error().text());
  return *result;
}

Error error_of(const std::string& tar) {
  auto result = fingerprint(tar);
  REQUIRE_FALSE(result);
  return result.error();
}

std::vector<TarMember> members(const std::string& tar) {
  MemorySource source(tar);
  TarReader reader(source);
  std::vector<TarMember> all;
  TarMember member;
  for (;;) {
    const auto has_member = reader.next(member);
    if (!has_member) FAIL(has_member.error().text());
    if (!*has_member) return all;
    all.push_back(member);
  }
}

}  // namespace

TEST_CASE("names survive byte for byte in the C locale", "[image][unit]") {
  std::setlocale(LC_ALL, "C");
  const std::string name = "caf\xc3\xa9/\xff\xfe\x80";
  const std::string by_pax = TarBuilder().pax({{"path", name}}).add(tar_item("x")).finish();
  const std::string by_header = TarBuilder().add(tar_item(name)).finish();
  CHECK(members(by_pax).at(0).entry.path == name);
  CHECK(members(by_header).at(0).entry.path == name);
  CHECK(must(by_pax).content == must(by_header).content);
}

TEST_CASE("a name with leading ./ or / or doubled slashes is the plain name", "[image][unit]") {
  for (const char* name : {"./a/b", "/a/b", "a//b", "a/./b", "a/b/"})
    CHECK(members(TarBuilder().add(tar_item(name)).finish()).at(0).entry.path == "a/b");
}

TEST_CASE("the root's own entry does not count", "[image][unit]") {
  TarItem root = tar_item("./", '5');
  root.mode = 0700;
  root.uid = 77;
  CHECK(must(TarBuilder().add(root).add(tar_item("a")).finish()).shape ==
        must(TarBuilder().add(tar_item("a")).finish()).shape);
}

TEST_CASE("a name with .. is refused and named", "[image][unit]") {
  for (const char* name : {"../evil", "a/../../evil", ".."}) {
    const Error error = error_of(TarBuilder().add(tar_item(name)).finish());
    CHECK(error.code == ErrorCode::kCorrupt);
    CHECK(error.message.find(name) != std::string::npos);
  }
  CHECK(error_of(TarBuilder().add(tar_link("a", '1', "../evil")).finish()).code ==
        ErrorCode::kCorrupt);
}

TEST_CASE("GNU long names and links reach the entry", "[image][unit]") {
  const std::string name = std::string(120, 'd') + "/" + std::string(150, 'f');
  const std::string target(300, 't');
  const std::string tar = TarBuilder()
                              .add(tar_item("././@LongLink", 'K', target + '\0'))
                              .add(tar_item("././@LongLink", 'L', name + '\0'))
                              .add(tar_link("short", '2', "short"))
                              .finish();
  const TarMember member = members(tar).at(0);
  CHECK(member.entry.path == name);
  CHECK(member.entry.link_target == target);
}

TEST_CASE("PAX records override the header and the last extended header counts", "[image][unit]") {
  const std::string tar = TarBuilder()
                              .pax({{"path", "first"}})
                              .pax({{"path", "p"},
                                    {"uid", "3000000"},
                                    {"gid", "2500000"},
                                    {"mtime", "1234.999999999"},
                                    {"SCHILY.xattr.user.a", std::string("\0b", 2)}})
                              .add(tar_item("h"))
                              .finish();
  const Entry entry = members(tar).at(0).entry;
  CHECK(entry.path == "p");
  CHECK(entry.uid == 3'000'000);
  CHECK(entry.gid == 2'500'000);
  CHECK(entry.mtime_s == 1234);
  CHECK(entry.xattrs == std::vector<Xattr>{{"user.a", std::string("\0b", 2)}});
}

TEST_CASE("a size in PAX replaces the header's", "[image][unit]") {
  TarBuilder tar;
  tar.pax({{"size", "5"}});
  TarItem file = tar_item("a", '0', "");
  tar.add(file);
  tar.raw("hello" + std::string(507, '\0'));
  tar.add(tar_item("b"));
  const auto all = members(tar.finish());
  REQUIRE(all.size() == 2);
  CHECK(all[0].entry.size == 5);
  CHECK(all[1].entry.path == "b");
}

TEST_CASE("negative times round down", "[image][unit]") {
  const std::string tar = TarBuilder().pax({{"mtime", "-1.5"}}).add(tar_item("a")).finish();
  CHECK(members(tar).at(0).entry.mtime_s == -2);
}

TEST_CASE("numbers in base 256 are read, also negative ones", "[image][unit]") {
  CHECK(*parse_tar_number(std::string_view("\x80\0\0\0\0\0\0\x01", 8)) == 1);
  CHECK(*parse_tar_number(std::string_view("\xff\xff\xff\xff\xff\xff\xff\xfe", 8)) == -2);
  CHECK(*parse_tar_number(std::string_view(" 0000755 ", 9)) == 0755);
  CHECK(*parse_tar_number(std::string_view("\0\0\0", 3)) == 0);
  CHECK_FALSE(parse_tar_number("0000789"));
  CHECK_FALSE(parse_tar_number(std::string_view("\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10)));
}

TEST_CASE("sparse files are expanded in every format", "[image][unit]") {
  std::string whole(10'000, '\0');
  whole.replace(4096, 5, "hello");
  const auto wanted = must(TarBuilder().add(tar_item("s", '0', whole)).finish()).content;

  const std::string by_map =  // PAX 0.1
      TarBuilder()
          .pax({{"GNU.sparse.map", "4096,5"},
                {"GNU.sparse.numblocks", "1"},
                {"GNU.sparse.size", "10000"},
                {"GNU.sparse.name", "s"}})
          .add(tar_item("GNUSparseFile.0/s", '0', "hello"))
          .finish();
  CHECK(must(by_map).content == wanted);

  const std::string by_pairs =  // PAX 0.0
      TarBuilder()
          .pax({{"GNU.sparse.size", "10000"},
                {"GNU.sparse.numblocks", "1"},
                {"GNU.sparse.offset", "4096"},
                {"GNU.sparse.numbytes", "5"}})
          .add(tar_item("s", '0', "hello"))
          .finish();
  CHECK(must(by_pairs).content == wanted);

  std::string map = "1\n4096\n5\n";
  map.resize(512);
  const std::string in_data =  // PAX 1.0
      TarBuilder()
          .pax({{"GNU.sparse.major", "1"},
                {"GNU.sparse.minor", "0"},
                {"GNU.sparse.name", "s"},
                {"GNU.sparse.realsize", "10000"}})
          .add(tar_item("GNUSparseFile.0/s", '0', map + "hello"))
          .finish();
  CHECK(must(in_data).content == wanted);
}

TEST_CASE("a sparse map that does not fit is refused", "[image][unit]") {
  for (const char* map :
       {"0,5,3,5", "9999,5", "4096,6", "4096", "18446744073709551615,1", "-1,5"}) {
    CAPTURE(map);
    const std::string tar = TarBuilder()
                                .pax({{"GNU.sparse.map", map}, {"GNU.sparse.size", "10000"}})
                                .add(tar_item("s", '0', "hello"))
                                .finish();
    CHECK(error_of(tar).code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("whiteouts and opaque marks become deletions", "[image][unit]") {
  const LayerFingerprint layer = must(TarBuilder()
                                          .add(tar_item("d/.wh.gone"))
                                          .add(tar_item("e/.wh..wh..opq"))
                                          .add(tar_item(".wh..wh.plnk", '5'))
                                          .finish());
  CHECK(layer.entries == 2);
  FingerprintBuilder builder;
  REQUIRE(builder.add_whiteout(".wh.plnk"));  // only .wh..wh..opq means something else
  REQUIRE(builder.add_whiteout("d/gone"));
  REQUIRE(builder.add_opaque("e"));
  CHECK(layer.deletions == std::move(builder).finish(Scope::kShape)->deletions);
}

TEST_CASE("a character device 0:0 is a whiteout, as overlay would take it", "[image][unit]") {
  CHECK(must(TarBuilder().add(tar_item("gone", '3')).finish()).deletions ==
        must(TarBuilder().add(tar_item(".wh.gone")).finish()).deletions);
}

TEST_CASE("a whiteout cannot name its own folder or the one above", "[image][unit]") {
  for (const char* name : {"a/.wh...", "a/.wh..", "a/.wh."}) {
    CAPTURE(name);
    CHECK(error_of(TarBuilder().add(tar_item(name)).finish()).code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("hard links in a tar are files, before or after what they link to", "[image][unit]") {
  const auto wanted =
      must(TarBuilder().add(tar_item("a", '0', "x")).add(tar_item("b", '0', "x")).finish()).content;
  CHECK(must(TarBuilder().add(tar_item("a", '0', "x")).add(tar_link("b", '1', "a")).finish())
            .content == wanted);
  CHECK(must(TarBuilder().add(tar_link("b", '1', "./a")).add(tar_item("a", '0', "x")).finish())
            .content == wanted);
}

TEST_CASE("a tar that ends too early is corrupt wherever it is cut", "[image][unit]") {
  const std::string tar =
      TarBuilder().pax({{"path", "p"}}).add(tar_item("a", '0', std::string(1000, 'x'))).bytes();
  for (const std::size_t cut : {100U, 512U, 600U, 1024U, 1100U, 1536U, 2000U, 2500U}) {
    CAPTURE(cut);
    CHECK(error_of(tar.substr(0, cut)).code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("a wrong checksum, a lone zero block and unknown types are refused", "[image][unit]") {
  std::string flipped = TarBuilder().add(tar_item("a")).finish();
  flipped[0] = 'b';
  CHECK(error_of(flipped).code == ErrorCode::kCorrupt);
  CHECK(error_of(TarBuilder().raw(std::string(512, '\0')).add(tar_item("a")).finish()).code ==
        ErrorCode::kCorrupt);
  CHECK(error_of(TarBuilder().add(tar_item("a", 'V')).finish()).code == ErrorCode::kUnsupported);
}

TEST_CASE("an extended header larger than 1 MiB is refused", "[image][unit]") {
  const std::string tar =
      TarBuilder().add(tar_item("x", 'L', std::string((1 << 20) + 1, 'n'))).finish();
  CHECK(error_of(tar).code == ErrorCode::kLimitExceeded);
}

TEST_CASE("a file that claims more than the limit is refused before it is read", "[image][unit]") {
  const std::string tar =
      TarBuilder()
          .pax({{"GNU.sparse.map", ""}, {"GNU.sparse.size", "1"}, {"size", "99999999999999"}})
          .add(tar_item("bomb"))
          .finish();
  CHECK(error_of(tar).code == ErrorCode::kLimitExceeded);
}

TEST_CASE("bytes behind the end of the tar are read, so that they are hashed", "[image][unit]") {
  const std::string tar = TarBuilder().add(tar_item("a")).finish() + "trailing";
  MemorySource memory(tar);
  HashingSource source(memory);
  REQUIRE(fingerprint_tar(source, Scope::kShape, {}));
  CHECK(source.bytes() == tar.size());
  CHECK(source.digest() == sha256(tar));
}
