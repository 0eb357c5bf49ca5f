// SPDX-License-Identifier: Apache-2.0
#include "common/sqlite/database.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace assay::sqlite {
namespace {

/// A database file in a folder of its own.
class TempFile {
 public:
  TempFile() {
    char name[] = "/tmp/assay-sqlite-test-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    folder_ = name;
  }
  ~TempFile() { std::filesystem::remove_all(folder_); }
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  std::string path() const { return folder_ + "/test.db"; }

 private:
  std::string folder_;
};

/// Readers whose snapshots overlap, so that at no moment none is open.
class SteadyReading {
 public:
  explicit SteadyReading(const std::string& path)
      : thread_([this, path](const std::stop_token& stop) { run(path, stop); }) {
    while (rounds_ == 0)
      std::this_thread::yield();
  }

 private:
  void run(const std::string& path, const std::stop_token& stop) {
    auto one = Database::open(path, {.read_only = true});
    auto other = Database::open(path, {.read_only = true});
    const auto begin = [](Database& database) {
      ASSAY_ASSERT(database.execute("BEGIN; SELECT count(*) FROM t"));
    };
    begin(*one);
    for (; !stop.stop_requested(); ++rounds_) {
      begin(*other);
      ASSAY_ASSERT(one->execute("COMMIT"));
      std::swap(one, other);
    }
  }

  std::atomic<int> rounds_{0};
  std::jthread thread_;
};

TEST_CASE("the WAL does not grow without end while somebody always reads", "[sqlite][unit]") {
  const TempFile file;
  auto writer =
      Database::open(file.path(), {.durability = Durability::kNormal, .checkpoint_pages = 16});
  REQUIRE(writer);
  REQUIRE(writer->execute("CREATE TABLE t (value BLOB)"));
  std::uint64_t largest = 0;
  {
    const SteadyReading reading(file.path());
    for (int i = 0; i < 250; ++i) {
      REQUIRE(writer->execute("INSERT INTO t VALUES (randomblob(8000))"));
      largest = std::max(largest, std::filesystem::file_size(file.path() + "-wal"));
    }
  }
  CHECK(largest < 1'200'000);  // more than 2 MB were written
}

TEST_CASE("a damaged page is found", "[sqlite][unit]") {
  const TempFile file;
  {
    auto database = Database::open(file.path(), {});
    REQUIRE(
        database->execute("CREATE TABLE t (id INTEGER PRIMARY KEY, value TEXT);"
                          "CREATE INDEX i ON t (value)"));
    for (int i = 0; i < 300; ++i)
      REQUIRE(database->execute("INSERT INTO t (value) VALUES (hex(randomblob(60)))"));
    CHECK(database->check_integrity());
  }
  std::fstream raw(file.path(), std::ios::binary | std::ios::in | std::ios::out);
  raw.seekp(3 * 4096);
  raw << std::string(4096, '\x55');
  raw.close();
  auto database = Database::open(file.path(), {});
  REQUIRE(database);
  const auto checked = database->check_integrity();
  REQUIRE_FALSE(checked);
  CHECK(checked.error().code == ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace assay::sqlite
