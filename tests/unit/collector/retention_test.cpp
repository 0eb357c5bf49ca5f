// SPDX-License-Identifier: Apache-2.0
// When the collector removes what is over, and how much at a time.
#include "collector/core/retention.h"

#include "tests/unit/collector/commit_bench.h"

namespace assay::collector::tests {
namespace {

using namespace std::chrono_literals;

const WallTime kNow = from_unix_ns(1'800'000'000'000'000'000);

class Fixture {
 public:
  explicit Fixture(const Retention& retention)
      : retainer(retention), store_(std::move(*SqliteStore::open({folder_.path() + "/store.db"}))) {
    const auto filled = store_->write([](StoreWriter& writer) -> Result<void> {
      for (int day = 0; day < 10; ++day)
        ASSAY_TRY(
            writer.audit({to_unix_ns(kNow - std::chrono::days(day)), "user:x", "a", "", "", ""}));
      return ok();
    });
    REQUIRE(filled);
    CHECK_FALSE(retainer.is_due(time));  // a collector that starts removes nothing yet
    time += 61min;
  }

  /// Steps until it is not due any more; how many.
  int round(int max_rows) {
    for (int steps = 0;; ++steps) {
      if (!retainer.is_due(time)) return steps;
      REQUIRE(store_->write([&](StoreWriter& writer) -> Result<void> {
        ASSAY_TRY(retainer.step(writer, kNow, time, max_rows));
        return ok();
      }));
    }
  }
  std::size_t left() { return store_->audit_log(100)->size(); }

  Retainer retainer;
  BootTime time = 1h;

 private:
  TempDir folder_;
  std::unique_ptr<SqliteStore> store_;
};

Retention audit_for(std::chrono::seconds age) {
  Retention retention;
  retention.audit = age;
  return retention;
}

TEST_CASE("what is over goes in steps, once an hour", "[collector][unit]") {
  Fixture here(audit_for(std::chrono::days(3)));
  CHECK(here.round(2) == 4 + 4);  // a step for each other kind, and 2 + 2 + 2 + 0 rows
  CHECK(here.left() == 4);
  CHECK(here.retainer.removed(Aged::kAudit) == 6);
  CHECK(here.round(2) == 0);
  here.time += 59min;
  CHECK(here.round(2) == 0);
  here.retainer.set_retention(audit_for(std::chrono::days(1)));
  here.time += 2min;
  CHECK(here.round(100) > 0);
  CHECK(here.left() == 2);
}

TEST_CASE("an age of zero keeps for good", "[collector][unit]") {
  Fixture here(audit_for(0s));
  here.round(100);
  CHECK(here.left() == 10);
}

TEST_CASE("a round that fails goes on an hour later", "[collector][unit]") {
  Fixture here(audit_for(std::chrono::days(3)));
  CHECK(here.retainer.is_due(here.time));
  here.round(2);
  here.time += 61min;
  CHECK(here.retainer.is_due(here.time));
  here.retainer.end_round();
  CHECK(here.retainer.is_due(here.time));  // it had not begun
}

TEST_CASE("the commit loop removes what is over and goes on", "[collector][unit]") {
  Bench here(make_catalog(1, {}));
  const catalog::Stack on = stack(kNode, {layer(1)});
  here.start_run(1, on);
  here.start_run(2, on);
  here.end_run(1);
  const auto ids = [&] {
    RunFilter filter;
    filter.include_ended = true;
    std::vector<std::string> all;
    const auto page = here.store->list_runs(filter, std::nullopt, 10);
    for (const RunView& run : page->rows)
      all.push_back(run.run_id);
    return all;
  };
  REQUIRE(ids().size() == 2);
  // The finding of the ended run (unknown-base) goes after a year, and then the run.
  here.clock.advance(std::chrono::days(366));
  CHECK(eventually([&] { return ids() == std::vector<std::string>{run_id(2)}; }));
  CHECK(here.loop->retainer().removed(Aged::kRuns) == 1);
  CHECK(here.loop->retainer().removed(Aged::kFindings) == 1);
  here.start_run(3, on);
  CHECK(ids().size() == 2);
}

}  // namespace
}  // namespace assay::collector::tests
