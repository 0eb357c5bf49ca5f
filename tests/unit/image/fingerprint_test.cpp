// SPDX-License-Identifier: Apache-2.0
#include "common/image/fingerprint.h"

#include <catch2/catch.hpp>

#include "common/image/verity.h"

using namespace assay;
using namespace assay::image;

namespace {

Entry file(const std::string& path, const std::string& data = "x") {
  Entry entry;
  entry.path = path;
  entry.mode = 0644;
  entry.size = data.size();
  entry.mtime_s = 1'700'000'000;
  entry.file_digest = verity_digest(data);
  return entry;
}

Entry of_type(const std::string& path, EntryType type) {
  Entry entry;
  entry.path = path;
  entry.type = type;
  return entry;
}

LayerFingerprint fingerprint(const std::vector<Entry>& entries) {
  FingerprintBuilder builder;
  for (const Entry& entry : entries)
    REQUIRE(builder.add(entry));
  return std::move(builder).finish(Scope::kContent).value();
}

struct Same {
  bool shape;
  bool content;
  bool operator==(const Same&) const = default;
};

Same compare(const std::vector<Entry>& a, const std::vector<Entry>& b) {
  const LayerFingerprint left = fingerprint(a);
  const LayerFingerprint right = fingerprint(b);
  return {left.shape == right.shape, left.content == right.content};
}

template <typename Change>
Same after(Entry entry, Change change) {
  Entry changed = entry;
  change(changed);
  return compare({entry}, {changed});
}

ErrorCode code_of(const Result<void>& result) {
  REQUIRE_FALSE(result);
  return result.error().code;
}

}  // namespace

TEST_CASE("each property of a file counts where the format says", "[image][unit]") {
  const Entry base = file("a");
  CHECK(after(base, [](Entry& e) { e.path = "b"; }) == Same{false, false});
  CHECK(after(base, [](Entry& e) { e.mode = 04644; }) == Same{false, false});
  CHECK(after(base, [](Entry& e) { e.uid = 1; }) == Same{false, false});
  CHECK(after(base, [](Entry& e) { e.gid = 1; }) == Same{false, false});
  CHECK(after(base, [](Entry& e) { e.size = 2; }) == Same{false, false});
  CHECK(after(base, [](Entry& e) { e.mtime_s += 1; }) == Same{false, true});
  CHECK(after(base, [](Entry& e) { e.file_digest = verity_digest("y"); }) == Same{true, false});
  CHECK(after(base, [](Entry& e) { e.xattrs = {{"user.a", "1"}}; }) == Same{true, false});
  CHECK(after(base, [](Entry& e) { e.type = EntryType::kFifo; }) == Same{false, false});
}

TEST_CASE("directories count by their path only", "[image][unit]") {
  CHECK(after(of_type("d", EntryType::kDirectory), [](Entry& e) {
          e.mode = 0700;
          e.uid = e.gid = 9;
          e.mtime_s = 5;
          e.xattrs = {{"user.a", "1"}};
        }) == Same{true, true});
}

TEST_CASE("a symlink's mode does not count, its target, owner and time do", "[image][unit]") {
  Entry link = of_type("l", EntryType::kSymlink);
  link.link_target = "target";
  CHECK(after(link, [](Entry& e) { e.mode = 0777; }) == Same{true, true});
  CHECK(after(link, [](Entry& e) { e.link_target = "other"; }) == Same{false, false});
  CHECK(after(link, [](Entry& e) { e.uid = 1; }) == Same{false, false});
  CHECK(after(link, [](Entry& e) { e.mtime_s = 1; }) == Same{false, true});
}

TEST_CASE("a device's number counts in content only and its time nowhere", "[image][unit]") {
  const Entry device = of_type("c", EntryType::kCharDevice);
  CHECK(after(device, [](Entry& e) { e.device_minor = 3; }) == Same{true, false});
  CHECK(after(device, [](Entry& e) { e.mtime_s = 3; }) == Same{true, true});
}

TEST_CASE("times before 1970 and beyond 2^63 nanoseconds are zero", "[image][unit]") {
  Entry zero = file("a");
  zero.mtime_s = 0;
  for (const std::int64_t time : {std::int64_t{-1}, std::int64_t{9'223'372'037}, INT64_MIN}) {
    Entry other = zero;
    other.mtime_s = time;
    CHECK(compare({zero}, {other}) == Same{true, true});
  }
  Entry last = zero;
  last.mtime_s = 9'223'372'036;
  CHECK(compare({zero}, {last}) == Same{false, true});
}

TEST_CASE("labels, trusted and overlay's own attributes are ignored, ACLs are not",
          "[image][unit]") {
  for (const char* name :
       {"security.selinux", "security.SMACK64EXEC", "security.apparmor", "security.ima",
        "security.evm", "trusted.overlay.origin", "trusted.x", "user.overlay.opaque"})
    CHECK(after(file("a"), [&](Entry& e) { e.xattrs = {{name, "v"}}; }) == Same{true, true});
  for (const char* name : {"system.posix_acl_access", "security.capability", "user.overlayx"})
    CHECK(after(file("a"), [&](Entry& e) { e.xattrs = {{name, "v"}}; }) == Same{true, false});
}

TEST_CASE("the order of entries does not matter, and parents nobody named are directories",
          "[image][unit]") {
  const auto d = [](const char* path) { return of_type(path, EntryType::kDirectory); };
  CHECK(compare({file("a/b/c"), file("a-b"), file("z")},
                {d("a"), file("z"), d("a/b"), file("a-b"), file("a/b/c")}) == Same{true, true});
  CHECK(fingerprint({file("a/b/c")}).entries == 3);
}

TEST_CASE("fields cannot run into one another", "[image][unit]") {
  Entry one = of_type("a", EntryType::kSymlink);
  one.link_target = "bc";
  Entry two = of_type("ab", EntryType::kSymlink);
  two.link_target = "c";
  CHECK(compare({one}, {two}) == Same{false, false});
}

TEST_CASE("the last entry of a path counts, and a file replaces the folder below it",
          "[image][unit]") {
  CHECK(compare({file("a", "1"), file("a", "22")}, {file("a", "22")}) == Same{true, true});
  CHECK(compare({file("d/e/f"), file("d", "1")}, {file("d", "1")}) == Same{true, true});
  CHECK(compare({file("d"), of_type("d", EntryType::kDirectory)},
                {of_type("d", EntryType::kDirectory)}) == Same{true, true});
}

TEST_CASE("a path below something that is no directory is refused", "[image][unit]") {
  FingerprintBuilder builder;
  REQUIRE(builder.add(file("a")));
  CHECK(code_of(builder.add(file("a/b"))) == ErrorCode::kCorrupt);
}

TEST_CASE("a path through a link of the layer is the path that it leads to", "[image][unit]") {
  const auto symlink = [](const std::string& path, const std::string& target) {
    Entry entry = of_type(path, EntryType::kSymlink);
    entry.link_target = target;
    return entry;
  };
  const std::vector<Entry> wanted = {of_type("usr/lib", EntryType::kDirectory),
                                     symlink("lib", "usr/lib"), file("usr/lib/a"), file("b")};
  FingerprintBuilder builder;
  for (const Entry& entry :
       {of_type("usr/lib", EntryType::kDirectory), symlink("lib", "usr/lib"), file("lib/a")})
    REQUIRE(builder.add(entry));
  REQUIRE(builder.add_hard_link("b", "lib/a"));
  REQUIRE(builder.add_whiteout("lib/gone"));
  REQUIRE(builder.add_opaque("lib"));
  FingerprintBuilder plain;
  for (const Entry& entry : wanted)
    REQUIRE(plain.add(entry));
  REQUIRE(plain.add_whiteout("usr/lib/gone"));
  REQUIRE(plain.add_opaque("usr/lib"));
  const auto by_link = std::move(builder).finish(Scope::kContent).value();
  const auto by_path = std::move(plain).finish(Scope::kContent).value();
  CHECK(by_link.content == by_path.content);
  CHECK(by_link.deletions == by_path.deletions);
}

TEST_CASE("a link counts from when it is there until it is replaced", "[image][unit]") {
  Entry link = of_type("d", EntryType::kSymlink);
  link.link_target = "real";
  FingerprintBuilder builder;
  REQUIRE(builder.add(file("d/first")));
  REQUIRE(builder.add(of_type("real", EntryType::kDirectory)));
  REQUIRE(builder.add(link));
  REQUIRE(builder.add(file("d/second")));
  REQUIRE(builder.add(of_type("d", EntryType::kDirectory)));
  REQUIRE(builder.add(file("d/third")));
  CHECK(std::move(builder).finish(Scope::kContent)->content ==
        fingerprint({file("real/second"), file("d/third")}).content);
}

TEST_CASE("hard links are files of their own, whichever comes first", "[image][unit]") {
  const auto with_links = [](bool links_first) {
    FingerprintBuilder builder;
    if (!links_first) REQUIRE(builder.add(file("a")));
    REQUIRE(builder.add_hard_link("c", "b"));
    REQUIRE(builder.add_hard_link("b", "a"));
    if (links_first) REQUIRE(builder.add(file("a")));
    return std::move(builder).finish(Scope::kContent).value();
  };
  const LayerFingerprint plain = fingerprint({file("a"), file("b"), file("c")});
  CHECK(with_links(false).content == plain.content);
  CHECK(with_links(true).content == plain.content);
  CHECK(with_links(true).content_bytes == 3);
}

TEST_CASE("a hard link keeps what it linked to when that path is replaced", "[image][unit]") {
  FingerprintBuilder builder;
  REQUIRE(builder.add(file("a", "old")));
  REQUIRE(builder.add_hard_link("b", "a"));
  REQUIRE(builder.add(file("a", "newer")));
  CHECK(std::move(builder).finish(Scope::kContent)->content ==
        fingerprint({file("a", "newer"), file("b", "old")}).content);
}

TEST_CASE("a hard link's own header changes the shared file", "[image][unit]") {
  FingerprintBuilder builder;
  REQUIRE(builder.add(file("a")));
  Entry header = file("b");
  header.mode = 04755;
  REQUIRE(builder.add_hard_link("b", "a", &header));
  Entry a = file("a");
  Entry b = file("b");
  a.mode = b.mode = 04755;
  CHECK(std::move(builder).finish(Scope::kContent)->content == fingerprint({a, b}).content);
}

TEST_CASE("hard links to nothing, to a folder and in a circle are corrupt", "[image][unit]") {
  FingerprintBuilder to_nothing;
  REQUIRE(to_nothing.add_hard_link("b", "a"));
  CHECK(std::move(to_nothing).finish(Scope::kShape).error().code == ErrorCode::kCorrupt);
  FingerprintBuilder circle;
  REQUIRE(circle.add_hard_link("a", "b"));
  REQUIRE(circle.add_hard_link("b", "a"));
  CHECK(std::move(circle).finish(Scope::kShape).error().code == ErrorCode::kCorrupt);
  FingerprintBuilder folder;
  REQUIRE(folder.add(of_type("d", EntryType::kDirectory)));
  CHECK(code_of(folder.add_hard_link("a", "d")) == ErrorCode::kCorrupt);
}

TEST_CASE("a long chain of hard links is resolved in one go", "[image][unit]") {
  constexpr int kLinks = 30'000;
  const auto name = [](int number) {
    std::string digits = std::to_string(number);
    return std::string(6 - digits.size(), '0') + digits;
  };
  FingerprintBuilder builder;
  for (int i = 0; i < kLinks; ++i)  // each to the next one by name, the worst order
    REQUIRE(builder.add_hard_link(name(i), name(i + 1)));
  REQUIRE(builder.add(file(name(kLinks))));
  CHECK(std::move(builder).finish(Scope::kShape)->content_bytes == kLinks + 1);
}

TEST_CASE("paths that leave the layer or are not plain are refused", "[image][unit]") {
  for (const std::string& path :
       {std::string(), std::string(".."), std::string("a/../b"), std::string("/a"),
        std::string("a/"), std::string("a//b"), std::string("./a"), std::string("a\0b", 3)}) {
    FingerprintBuilder builder;
    CAPTURE(path);
    CHECK(code_of(builder.add(file(path))) == ErrorCode::kCorrupt);
  }
}

TEST_CASE("attributes that stores do not keep are left out", "[image][unit]") {
  const auto with = [](std::vector<Xattr> xattrs) {
    return [xattrs = std::move(xattrs)](Entry& entry) { entry.xattrs = xattrs; };
  };
  const Entry link = of_type("l", EntryType::kSymlink);
  CHECK(after(link, with({{"user.a", "1"}})) == Same{true, true});
  CHECK(after(link, with({{"security.a", "1"}})) == Same{true, false});
  CHECK(after(file("a"), with({{"user.a", ""}})) == Same{true, true});
  CHECK(after(file("a"), with({{"user.a", "1"}})) == Same{true, false});
}

TEST_CASE("names and attributes are limited together", "[image][unit]") {
  FingerprintLimits limits;
  limits.max_metadata_bytes = 1000;
  FingerprintBuilder builder(limits);
  Entry entry = file("a");
  entry.xattrs = {{"user.a", std::string(600, 'v')}};
  REQUIRE(builder.add(entry));
  CHECK(code_of(builder.add(entry)) == ErrorCode::kLimitExceeded);
}

TEST_CASE("each limit ends in an error that names it", "[image][unit]") {
  FingerprintLimits limits;
  limits.max_entries = 2;
  limits.max_depth = 3;
  limits.max_path_bytes = 20;
  limits.max_content_bytes = 10;
  const auto refused = [&](const std::vector<Entry>& entries) {
    FingerprintBuilder builder(limits);
    Result<void> last;
    for (const Entry& entry : entries)
      last = builder.add(entry);
    return code_of(last) == ErrorCode::kLimitExceeded;
  };
  CHECK(refused({file("a"), file("b"), file("c")}));
  CHECK(refused({file("a/b/c")}));  // implied parents count
  CHECK(refused({file("a/b/c/d")}));
  CHECK(refused({file(std::string(21, 'a'))}));
  CHECK(refused({file("a", "12345678901")}));
  CHECK(refused({file("a", "123456"), file("b", "123456")}));
}

TEST_CASE("hard links cannot carry the content over its limit", "[image][unit]") {
  FingerprintLimits limits;
  limits.max_content_bytes = 10;
  FingerprintBuilder builder(limits);
  REQUIRE(builder.add(file("a", "123456")));
  REQUIRE(builder.add_hard_link("b", "a"));
  CHECK(std::move(builder).finish(Scope::kShape).error().code == ErrorCode::kLimitExceeded);
}

TEST_CASE("whiteouts are a digest of their own and no records", "[image][unit]") {
  const LayerFingerprint none = fingerprint({file("d/a")});
  FingerprintBuilder builder;
  REQUIRE(builder.add(file("d/a")));
  REQUIRE(builder.add_whiteout("d/gone"));
  REQUIRE(builder.add_opaque(""));
  const auto result = std::move(builder).finish(Scope::kContent);
  REQUIRE(result);
  CHECK(result->content == none.content);
  CHECK(result->deletions.has_value());
  CHECK(result->deletions != none.deletions);
}

TEST_CASE("a path that is there is not deleted, in either order", "[image][unit]") {
  const LayerFingerprint plain = fingerprint({file("a")});
  FingerprintBuilder before;
  REQUIRE(before.add_whiteout("a"));
  REQUIRE(before.add(file("a")));
  CHECK(std::move(before).finish(Scope::kShape)->deletions == plain.deletions);
  FingerprintBuilder later;
  REQUIRE(later.add(file("a")));
  REQUIRE(later.add_whiteout("a"));
  CHECK(std::move(later).finish(Scope::kShape)->deletions == plain.deletions);
}

TEST_CASE("marks that cannot be seen leave no deletions digest", "[image][unit]") {
  FingerprintBuilder builder;
  builder.deletions_not_visible();
  CHECK_FALSE(std::move(builder).finish(Scope::kShape)->deletions.has_value());
}

TEST_CASE("docker's init layer is told by its content and not by a name", "[image][unit]") {
  const auto is_injected = [](const std::vector<Entry>& entries) {
    FingerprintBuilder builder;
    for (const Entry& entry : entries)
      REQUIRE(builder.add(entry));
    return std::move(builder).finish(Scope::kShape)->is_runtime_injected;
  };
  Entry mtab = of_type("etc/mtab", EntryType::kSymlink);
  mtab.link_target = "/proc/mounts";
  std::vector<Entry> init = {file(".dockerenv", ""),
                             file("dev/console", ""),
                             file("etc/hosts", ""),
                             file("etc/hostname", ""),
                             file("etc/resolv.conf", ""),
                             mtab,
                             of_type("proc", EntryType::kDirectory)};
  CHECK(is_injected(init));
  auto without_mark = init;
  without_mark.erase(without_mark.begin());
  CHECK_FALSE(is_injected(without_mark));
  auto with_more = init;
  with_more.push_back(file("etc/passwd", ""));
  CHECK_FALSE(is_injected(with_more));
  auto with_bytes = init;
  with_bytes[2] = file("etc/hosts", "1.2.3.4 registry");
  CHECK_FALSE(is_injected(with_bytes));
  auto other_mtab = init;
  other_mtab[5].link_target = "/tmp/mounts";
  CHECK_FALSE(is_injected(other_mtab));
}

TEST_CASE("a layer that deletes something is not docker's init layer", "[image][unit]") {
  FingerprintBuilder builder;
  REQUIRE(builder.add(file(".dockerenv", "")));
  REQUIRE(builder.add_whiteout("etc"));
  CHECK_FALSE(std::move(builder).finish(Scope::kShape)->is_runtime_injected);
}
