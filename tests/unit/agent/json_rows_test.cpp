// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/json_rows.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "agent/runtime/store_folder.h"
#include "common/base/unique_fd.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using Rows = std::vector<JsonRow>;

const RowFields kFields{{"id", "parent"}, {"names"}};

Result<Rows> read(const std::string& text, const RowLimits& limits = {}) {
  const Scratch scratch;
  scratch.write("list.json", text);
  const UniqueFd fd(::open(scratch.path("list.json").c_str(), O_RDONLY | O_CLOEXEC));
  Rows rows;
  ASSAY_TRY(read_json_rows(fd.get(), kFields, limits, [&](const JsonRow& row) {
    rows.push_back(row);
    return true;
  }));
  return rows;
}

TEST_CASE("rows hold what was asked for and nothing of what lies deeper", "[agent][unit]") {
  const auto rows = read(R"([
    {"id":"a","names":["x","y",7,{"id":"no"},["no"]],"parent":"b","other":{"id":"no","names":["no"]}},
    {"parent":{"id":"no"},"id":7,"names":{"0":"no"}},
    {"id":"c","id":"last","names":"no","deep":[["no"]]},
    {}])");
  REQUIRE(rows);
  REQUIRE(rows->size() == 4);
  CHECK((*rows)[0].texts == std::vector<std::string>{"a", "b"});
  CHECK((*rows)[0].lists[0] == std::vector<std::string>{"x", "y"});
  CHECK((*rows)[1].texts == std::vector<std::string>{"", ""});
  CHECK((*rows)[1].lists[0].empty());
  CHECK((*rows)[2].texts[0] == "last");
  CHECK((*rows)[2].lists[0].empty());
  CHECK((*rows)[3].texts == std::vector<std::string>{"", ""});
  CHECK(read("[]")->empty());
}

TEST_CASE("what is no list of objects is corrupt", "[agent][unit]") {
  for (const char* text : {"", " ", "null", "7", "\"x\"", "{}", "[7]", "[null]", "[\"x\"]", "[[]]",
                           "[{}", "[{},]", "[{}]x", "[{\"id\":}]", "[{\"id\":\"\xc3\x28\"}]"}) {
    INFO(text);
    const auto rows = read(text);
    REQUIRE_FALSE(rows);
    CHECK(rows.error().code == ErrorCode::kCorrupt);
  }
  CHECK_FALSE(read("[{\"x\":" + std::string(100'000, '[')));
}

TEST_CASE("every limit of a list is one", "[agent][unit]") {
  RowLimits limits;
  limits.max_rows = 2;
  CHECK(read("[{},{}]", limits));
  CHECK(read("[{},{},{}]", limits).error().code == ErrorCode::kLimitExceeded);
  limits = {};
  limits.max_bytes = 10;
  CHECK(read("[{\"id\":\"a\"}]", limits).error().code == ErrorCode::kLimitExceeded);
  limits = {};
  limits.max_text_bytes = 2;
  limits.max_list_items = 1;
  const auto rows = read(R"([{"id":"abc","parent":"ab","names":["long","a","b"]}])", limits);
  REQUIRE(rows);
  CHECK((*rows)[0].texts == std::vector<std::string>{"", "ab"});
  CHECK((*rows)[0].lists[0] == std::vector<std::string>{"a"});
}

TEST_CASE("reading ends where the caller has what it wants", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("list.json", R"([{"id":"a"},{"id":"b"},{"id":"c"}, no JSON here)");
  const UniqueFd fd(::open(scratch.path("list.json").c_str(), O_RDONLY | O_CLOEXEC));
  int seen = 0;
  CHECK(read_json_rows(fd.get(), kFields, {}, [&](const JsonRow& row) {
    ++seen;
    return row.texts[0] != "b";
  }));
  CHECK(seen == 2);
}

TEST_CASE("a path is only root's when each folder on the way is", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("a/b/file", "x");
  for (const char* path : {"a", "a/b"})
    ::chmod(scratch.path(path).c_str(), 0755);
  ::chmod(scratch.path("a/b/file").c_str(), 0644);
  const bool is_root = ::geteuid() == 0;
  CHECK(is_only_roots_to_write(scratch.path("a/b/file")) == is_root);
  CHECK_FALSE(is_only_roots_to_write(scratch.path("a/b/nothing")));
  CHECK_FALSE(is_only_roots_to_write("a/b/file"));
  ::chmod(scratch.path("a").c_str(), 0775);
  CHECK_FALSE(is_only_roots_to_write(scratch.path("a/b/file")));
  ::chmod(scratch.path("a").c_str(), 01777);  // in a sticky folder root's own entries are safe
  CHECK(is_only_roots_to_write(scratch.path("a/b/file")) == is_root);
  ::chmod(scratch.path("a/b/file").c_str(), 0666);
  CHECK_FALSE(is_only_roots_to_write(scratch.path("a/b/file")));
}

TEST_CASE("a store's folder gives plain files beneath it and nothing else", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("store/a/file", "text");
  scratch.write("outside", "no");
  std::filesystem::create_symlink("../../outside", scratch.path("store/a/link"));
  std::filesystem::create_directory_symlink(scratch.path("store/a"), scratch.path("store/linked"));
  REQUIRE(::mkfifo(scratch.path("store/a/pipe").c_str(), 0600) == 0);
  auto folder = StoreFolder::open(scratch.path("store"));
  REQUIRE(folder);
  CHECK(folder->read("a/file", 100) == "text");
  CHECK(folder->read("a/file", 4) == "text");
  CHECK_FALSE(folder->read("a/file", 3));
  for (const char* path : {"a/link", "linked/file", "../outside", "a/pipe", "a", "a/nothing", "",
                           "/etc/passwd", "a/../../outside"})
    CHECK_FALSE(folder->read(path, 100));
  CHECK(folder->open_directory("a"));
  for (const char* path : {"linked", "a/file", "..", "nothing", "/"})
    CHECK_FALSE(folder->open_directory(path));
  CHECK_FALSE(StoreFolder::open(scratch.path("nothing")));
}

}  // namespace
}  // namespace assay::agent
