// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/sqlite_store.h"

#include "collector/core/judging.h"
#include "collector/store/sqlite/schema.h"
#include "common/sqlite/database.h"
#include "tests/support/fleet.h"
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

/// Everything but which of the newest runs began at one time.
std::string text_of(const ImpactView& impact) {
  std::string text = std::to_string(impact.running) + " of " +
                     std::to_string(impact.running_total) + " on " + std::to_string(impact.nodes) +
                     " in " + std::to_string(impact.namespaces) + " of " +
                     std::to_string(impact.owners) + " since " + std::to_string(impact.since_ns);
  for (const ImpactGroup& group : impact.groups)
    text += "\n" + group.pod_namespace + " " + group.owner + " " + std::to_string(group.running) +
            " on " + std::to_string(group.nodes) + " since " + std::to_string(group.since_ns);
  for (const RunView& run : impact.runs)
    text += "\n" + run.run_id;
  return text;
}

TEST_CASE("the runs of a large fleet are counted alike on one connection and on two",
          "[collector][unit]") {
  const TempDir dir;
  const std::string path = dir.path() + "/store.db";
  const assay::tests::FleetOptions fleet{.nodes = 600, .runs_per_node = 20, .images = 40};
  const auto fill = [&](Store& store) {
    const auto all =
        std::make_shared<const catalog::Catalog>(assay::tests::fleet_catalog(fleet, 1, -1));
    REQUIRE(assay::tests::fill_with_fleet(store, fleet, from_unix_ns(1'800'000'000'000'000'000)));
    Judging judging(all, {2, 1, 1}, {}, {});
    bool is_left = true;
    while (is_left)
      REQUIRE(store.write_repeatable([&](StoreWriter& writer) -> Result<void> {
        ASSAY_ASSIGN(is_left, judging.judge_some(writer, 4000, from_unix_ns(1)));
        return ok();
      }));
  };
  std::map<int, std::map<std::string, std::string>> by_readers;
  for (const int readers : {1, 2}) {
    auto store = SqliteStore::open({path, readers});
    REQUIRE(store);
    if (readers == 1) fill(**store);
    for (const char* base : {"golden:0", "golden:3", "golden", "golden:none"})
      by_readers[readers][base] = text_of(*(*store)->impact(base));
  }
  CHECK(by_readers[1] == by_readers[2]);
  CHECK_THAT(by_readers[2]["golden:0"], Catch::StartsWith("12000 of 12000 on 600 in "));
  CHECK_THAT(by_readers[2]["golden:none"], Catch::StartsWith("0 of 12000 on 0 in "));
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

/// The file as a collector of schema version `version` left it.
void write_old_store(const std::string& path, std::size_t version, const std::string& rows) {
  auto database = sqlite::Database::open(path, {});
  REQUIRE(database);
  const auto& all = migrations();
  REQUIRE(database->migrate({all.begin(), all.begin() + static_cast<std::ptrdiff_t>(version)}));
  REQUIRE(database->execute(rows));
}

TEST_CASE("a store from before claims were read keeps its runs", "[collector][unit]") {
  const TempDir dir;
  const std::string path = dir.path() + "/store.db";
  write_old_store(path, 4, R"sql(
      INSERT INTO nodes(node_id, cluster, node) VALUES(1, 'test', 'node-1');
      INSERT INTO stacks(stack_id, node_id, digest) VALUES(1, 1, zeroblob(32));
      INSERT INTO runs(run_id, node_id, stack_id, kind, cause, is_late, started_ns, container_name,
        executable, arguments, arguments_truncated, pid, process_start_ns, process_name, ancestors,
        namespace_pids, uid, gid, cgroup_path, cgroup_id, mount_namespace, pid_namespace,
        user_namespace, root_type)
      VALUES('00112233445566778899aabbccddeeff', 1, 1, 'container', 'exec', 0, 5, 'web', '/bin/sh',
        '[]', 0, 1, 1, 'sh', '[]', '[]', 0, 0, '', 0, 0, 0, 0, 'overlay'))sql");
  const auto store = SqliteStore::open({path, 1});
  REQUIRE(store);
  const auto run = (*store)->trace("web", "");
  REQUIRE(run);
  CHECK_FALSE(run->run.names.config_digest);
}

TEST_CASE("a store from before layers spoke of themselves is brought up to date",
          "[collector][unit]") {
  const TempDir dir;
  const std::string path = dir.path() + "/store.db";
  write_old_store(path, 2,
                  "INSERT INTO nodes(node_id, cluster, node) VALUES(1, 'c', 'n');"
                  "INSERT INTO stacks(stack_id, node_id, digest, is_described)"
                  " VALUES(1, 1, x'00', 1)");
  REQUIRE(SqliteStore::open({path, 1}));
  auto database = sqlite::Database::open(path, {});
  REQUIRE(database);
  auto about = database->prepare("SELECT about FROM stacks WHERE stack_id=1");
  REQUIRE(about);
  REQUIRE(*(*about)->step());
  CHECK((*about)->text(0).empty());
}

TEST_CASE("a store from before full states keeps its epochs and nodes", "[collector][unit]") {
  const TempDir dir;
  const std::string path = dir.path() + "/store.db";
  write_old_store(path, 3,
                  "INSERT INTO nodes(node_id, cluster, node, probe_state)"
                  " VALUES(1, 'c', 'n', 'seen');"
                  "INSERT INTO epochs(node_id, epoch, acknowledged)"
                  " VALUES(1, x'65656565656565656565656565656565', 42)");
  const auto store = SqliteStore::open({path, 1});
  REQUIRE(store);
  const auto nodes = (*store)->load_nodes();
  REQUIRE(nodes);
  REQUIRE(nodes->size() == 1);
  CHECK(nodes->front().heartbeat.probe_state == "seen");
  CHECK(nodes->front().heartbeat.degraded.empty());
  CHECK((*store)->write([](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const NodeId node, writer.node_id({"c", "n"}));
    ASSAY_ASSIGN(const auto epoch, writer.find_epoch(node, Epoch(16, 'e')));
    REQUIRE(epoch);
    CHECK(epoch->acknowledged == 42);
    return ok();
  }));
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
