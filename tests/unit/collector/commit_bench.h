// SPDX-License-Identifier: Apache-2.0
// The whole commit loop on a real store, with a clock that stands still.
#pragma once

#include <algorithm>
#include <future>

#include "collector/core/commit_loop.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {

inline const NodeKey kNode{"test", "node-1"};
inline const Epoch kEpoch(16, 'e');

struct Bench {
  TempDir dir;
  FakeClock clock;
  std::unique_ptr<SqliteStore> store;
  std::unique_ptr<NodeRegistry> nodes;
  std::unique_ptr<CommitLoop> loop;
  std::uint64_t sequence = 0;

  explicit Bench(std::shared_ptr<const catalog::Catalog> catalog) { start(std::move(catalog)); }

  void start(std::shared_ptr<const catalog::Catalog> catalog) {
    loop.reset();
    store.reset();
    store = *SqliteStore::open({dir.path() + "/store.db", 2});
    nodes = std::make_unique<NodeRegistry>(*store->load_nodes(), clock, std::chrono::seconds(10));
    CommitOptions options;
    options.tick = std::chrono::milliseconds(1);
    options.max_runs_per_commit = 2;
    loop = *CommitLoop::start(*store, *nodes, clock, std::move(catalog), options, {});
  }

  template <typename Body>
  Event event(Body body) {
    Event one;
    one.sequence = ++sequence;
    one.time_ns = to_unix_ns(clock.wall_now());
    one.body = std::move(body);
    return one;
  }

  /// Records and waits for the commit.
  Result<BatchOutcome> record(Batch batch) { return record(std::move(batch), kEpoch); }
  Result<BatchOutcome> record(Batch batch, const Epoch& epoch) {
    std::promise<Result<BatchOutcome>> committed;
    auto future = committed.get_future();
    REQUIRE(loop->record(kNode, epoch, std::move(batch), 100, [&](Result<BatchOutcome> outcome) {
      committed.set_value(std::move(outcome));
    }));
    return future.get();
  }

  /// An agent connects: waits for what it is answered.
  BatchOutcome connect(const AgentInfo& agent) {
    std::promise<Result<BatchOutcome>> opened;
    auto future = opened.get_future();
    REQUIRE(loop->open_epoch(
        kNode, agent, [&](Result<BatchOutcome> outcome) { opened.set_value(std::move(outcome)); }));
    auto outcome = future.get();
    REQUIRE(outcome);
    return *outcome;
  }

  std::uint64_t start_run(int n, const catalog::Stack& on) {
    const auto outcome = record(
        {{event(run_started(n, catalog::digest_of(on), to_unix_ns(clock.wall_now())))}, {on}});
    REQUIRE(outcome);
    return outcome->acknowledged;
  }

  void end_run(int n) {
    REQUIRE(record({{event(RunEnded{run_id(n), to_unix_ns(clock.wall_now()) + 1, false})}, {}}));
  }

  std::vector<catalog::FindingKind> open_kinds() {
    std::vector<catalog::FindingKind> kinds;
    const auto page = store->list_findings({}, std::nullopt, 1000);
    for (const auto& finding : page->rows)
      kinds.push_back(finding.kind);
    std::sort(kinds.begin(), kinds.end());
    return kinds;
  }

  void change_catalog(std::shared_ptr<const catalog::Catalog> next) {
    const CatalogEntry entry{next->sequence(), "statement", "head", "user:test",
                             to_unix_ns(clock.wall_now())};
    REQUIRE(loop->change_catalog(entry, next));
    REQUIRE(loop->drain(std::chrono::seconds(30)));
  }
};

}  // namespace assay::collector::tests
