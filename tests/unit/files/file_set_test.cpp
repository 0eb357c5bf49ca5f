// SPDX-License-Identifier: Apache-2.0
// The bytes of docs/formats/file_set.md.
#include "common/catalog/file_set.h"

#include <catch2/catch.hpp>

#include "common/base/encoding.h"

using namespace assay;
using namespace assay::catalog;

namespace {

// The vector of the page.
constexpr const char* kVector =
    "61737361792d66730000000100000002"
    "b2a85d5d3b6ed5ed60cb0b7370f94478"
    "fd3a919c4eae6eb5e86216f1b46a9c30";

FileFacts facts_of_true(const FileDigest& content) {
  return {"usr/bin/true", 'f', 0755, 0, 0, "", &content};
}

std::string changed(std::string bytes, std::size_t at, char value) {
  bytes[at] = value;
  return bytes;
}

}  // namespace

TEST_CASE("the vector of the page", "[files][unit]") {
  FileDigest content;
  content.bytes.fill(0x11);
  const FileSet set({file_set_entry({"bin", 'l', 0, 0, 0, "usr/bin", nullptr}),
                     file_set_entry(facts_of_true(content))});
  CHECK(to_hex(set.encode()) == kVector);
  CHECK(set.digest().hex() == "23185eda3146e0c81f5a7152c3f1f545c19d1c49b1e8441d01709c6ac9f09a9f");
  const auto read = FileSet::decode(from_hex(kVector).value());
  REQUIRE(read);
  CHECK(*read == set);
}

TEST_CASE("everything that counts of a file changes its hash, and not that of its path",
          "[files][unit]") {
  FileDigest content;
  FileDigest other;
  other.bytes.fill(1);
  const FileSetEntry entry = file_set_entry(facts_of_true(content));
  FileFacts rows[6] = {facts_of_true(content), facts_of_true(content), facts_of_true(content),
                       facts_of_true(content), facts_of_true(content), facts_of_true(other)};
  rows[0].type = 'p';
  rows[1].mode = 04755;
  rows[2].uid = 1;
  rows[3].gid = 1;
  rows[4].link_target = "x";
  for (const FileFacts& row : rows) {
    CHECK(file_set_entry(row).path == entry.path);
    CHECK(file_set_entry(row).file != entry.file);
  }
  FileFacts elsewhere = facts_of_true(content);
  elsewhere.path = "usr/bin/false";
  CHECK(file_set_entry(elsewhere).path != entry.path);
  CHECK(file_set_entry(elsewhere).file != entry.file);
}

TEST_CASE("what is no file set is refused", "[files][unit]") {
  const std::string good = from_hex(kVector).value();
  CHECK(FileSet::decode("").error().code == ErrorCode::kCorrupt);
  CHECK(FileSet::decode(good.substr(0, good.size() - 1)).error().code == ErrorCode::kCorrupt);
  CHECK(FileSet::decode(good + "x").error().code == ErrorCode::kCorrupt);
  CHECK(FileSet::decode(changed(good, 0, 'b')).error().code == ErrorCode::kCorrupt);
  CHECK(FileSet::decode(changed(good, 11, 2)).error().code == ErrorCode::kUnsupported);
  CHECK(FileSet::decode(changed(good, 12, 1)).error().code == ErrorCode::kLimitExceeded);
  CHECK(FileSet::decode(changed(good, 16, '\xff')).error().code == ErrorCode::kCorrupt);
  const std::string twice = good.substr(0, 32) + good.substr(16, 16);
  CHECK(FileSet::decode(twice).error().code == ErrorCode::kCorrupt);  // one path two times
}

TEST_CASE("of two entries with one path one stays", "[files][unit]") {
  const FileSet set({{5, 2}, {1, 9}, {5, 1}});
  CHECK(set.entries() == std::vector<FileSetEntry>{{1, 9}, {5, 1}});
}

TEST_CASE("what lies above replaces what lies below", "[files][unit]") {
  const FileSet upper({{2, 20}, {4, 40}, {9, 90}});
  const FileSet lower({{1, 1}, {2, 2}, {3, 3}});
  CHECK(FileSet::over(upper, lower).entries() ==
        std::vector<FileSetEntry>{{1, 1}, {2, 20}, {3, 3}, {4, 40}, {9, 90}});
  CHECK(FileSet::over(upper, {}) == upper);
  CHECK(FileSet::over({}, lower) == lower);
}
