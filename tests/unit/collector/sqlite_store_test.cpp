// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/sqlite_store.h"

#include "common/sqlite/database.h"
#include "tests/unit/collector/store_contract.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using tests::TempDir;

TEST_CASE("the SQLite store keeps the store's contract", "[collector][unit]") {
  const TempDir dir;
  tests::check_store_contract([&]() -> std::unique_ptr<Store> {
    auto store = SqliteStore::open({dir.path() + "/store.db", 2});
    REQUIRE(store);
    return std::move(*store);
  });
}

TEST_CASE("a store that a newer version wrote is refused", "[collector][unit]") {
  const TempDir dir;
  const std::string path = dir.path() + "/store.db";
  REQUIRE(SqliteStore::open({path, 1}));
  {
    auto database = sqlite::Database::open(path, {});
    REQUIRE(database);
    REQUIRE(database->execute("PRAGMA user_version=1000"));
  }
  const auto refused = SqliteStore::open({path, 1});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kUnsupported);
}

TEST_CASE("a store from before layers spoke of themselves is brought up to date",
          "[collector][unit]") {
  const TempDir dir;
  const std::string path = dir.path() + "/store.db";
  REQUIRE(SqliteStore::open({path, 1}));
  {
    auto database = sqlite::Database::open(path, {});
    REQUIRE(database);
    REQUIRE(database->execute(
        "ALTER TABLE stacks DROP COLUMN about; PRAGMA user_version=2;"
        "INSERT INTO nodes(node_id, cluster, node) VALUES(1, 'c', 'n');"
        "INSERT INTO stacks(stack_id, node_id, digest, is_described) VALUES(1, 1, x'00', 1)"));
  }
  REQUIRE(SqliteStore::open({path, 1}));
  auto database = sqlite::Database::open(path, {});
  REQUIRE(database);
  auto about = database->prepare("SELECT about FROM stacks WHERE stack_id=1");
  REQUIRE(about);
  REQUIRE(*(*about)->step());
  CHECK((*about)->text(0).empty());
}

TEST_CASE("a store is open in one collector only", "[collector][unit]") {
  const TempDir dir;
  const auto first = SqliteStore::open({dir.path() + "/store.db", 1});
  REQUIRE(first);
  const auto second = SqliteStore::open({dir.path() + "/store.db", 1});
  REQUIRE_FALSE(second);
  CHECK(second.error().code == ErrorCode::kUnavailable);
}

}  // namespace
}  // namespace assay::collector
