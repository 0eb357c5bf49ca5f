// SPDX-License-Identifier: Apache-2.0
// docs/metrics.md against what agent and collector serve, and the agent's degraded modes.
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <sstream>

#include "agent/health/health.h"
#include "collector/app/metrics_export.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "common/base/file.h"
#include "tests/unit/agent/scratch.h"

namespace assay {
namespace {

using Types = std::map<std::string, std::string>;

/// Name → type, from the lines "# TYPE name type" of an exposition.
Types served(const std::string& exposition) {
  Types types;
  std::istringstream lines(exposition);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, kind, name, type;
    words >> hash >> kind >> name >> type;
    if (hash == "#" && kind == "TYPE") types[name] = type;
  }
  return types;
}

/// First column → second, of the tables between `heading` and the next heading.
Types documented(const std::string& heading) {
  const auto page = read_file(ASSAY_DOCS "/metrics.md", 1 << 20);
  REQUIRE(page);
  const auto begin = page->find("## " + heading + "\n");
  REQUIRE(begin != std::string::npos);
  std::istringstream lines(page->substr(begin, page->find("\n## ", begin) - begin));
  Types rows;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("| `")) continue;
    const auto name_end = line.find('`', 3);
    const auto second = line.find("| ", name_end) + 2;
    rows[line.substr(3, name_end - 3)] = line.substr(second, line.find(" |", second) - second);
  }
  return rows;
}

TEST_CASE("docs/metrics.md lists the agent's metrics with their types", "[docs][unit]") {
  service::Metrics metrics;
  agent::HealthMetrics health(metrics, "1", "6.1");
  health.update({}, {}, WallTime{});
  CHECK(served(metrics.to_text()) == documented("assay-agent"));
}

/// A catalog that is empty.
struct NoCatalog final : collector::CatalogKeeper {
  std::shared_ptr<const catalog::SignedLog> log() const override {
    return std::make_shared<const catalog::SignedLog>();
  }
  std::shared_ptr<const catalog::Catalog> catalog() const override {
    return std::make_shared<const catalog::Catalog>();
  }
  std::uint64_t sequence() const override { return 0; }
  std::string mark() const override { return ""; }
  Result<std::uint64_t> submit(const collector::Actor&, catalog::SignedChange,
                               std::vector<std::string>) override {
    return 0;
  }
};

TEST_CASE("docs/metrics.md lists the collector's metrics with their types", "[docs][unit]") {
  const agent::tests::Scratch scratch;
  SystemClock clock;
  const auto store = collector::SqliteStore::open({scratch.path("store.db"), 1});
  REQUIRE(store);
  collector::NodeRegistry nodes({}, clock, std::chrono::seconds(10));
  const auto loop = collector::CommitLoop::start(
      **store, nodes, clock, std::make_shared<const catalog::Catalog>(), {}, {});
  REQUIRE(loop);
  collector::MetricsExport metrics;
  const NoCatalog keeper;
  CHECK(served(metrics.text(**loop, nodes, keeper,
                            {clock.wall_now(), 1, {}, collector::FindingCounts{}})) ==
        documented("assay-collector"));
}

agent::AgentHealth healthy() {
  agent::AgentHealth health;
  health.probe.state = agent::ProbeState::kSeen;
  health.catalog.head.emplace();
  health.catalog.sequence = 1;
  return health;
}

TEST_CASE("every degraded mode has its cause, its reason and its row", "[agent][unit]") {
  CHECK(agent::degraded_modes(healthy()).empty());
  struct Row {
    const char* mode;
    void (*break_it)(agent::AgentHealth&);
    const char* reason;
  };
  const Row rows[] = {
      {"probe-failed",
       [](agent::AgentHealth& health) {
         health.probe = {agent::ProbeState::kFailed, "no BTF", {}};
       },
       "no BTF"},
      {"probe-blind",
       [](agent::AgentHealth& health) { health.probe.state = agent::ProbeState::kAttached; },
       "canary"},
      {"probe-limited", [](agent::AgentHealth& health) { health.probe.detail = "no overlay"; },
       "no overlay"},
      {"runs-refused", [](agent::AgentHealth& health) { health.refused_runs = 3; }, "3 starts"},
      {"state-failed", [](agent::AgentHealth& health) { health.state_error = "disk full"; },
       "disk full"},
      {"outbox-failed", [](agent::AgentHealth& health) { health.outbox.error = "disk full"; },
       "disk full"},
      {"call-denied",
       [](agent::AgentHealth& health) {
         health.denied_calls = 2;
         health.last_denied_call = "mount";
       },
       "mount"},
      {"catalog-none", [](agent::AgentHealth& health) { health.catalog.head.reset(); },
       "no catalog"},
      {"catalog-stale",
       [](agent::AgentHealth& health) {
         health.catalog.is_stale = true;
         health.catalog.expires = from_unix_ns(1'700'000'000'000'000'000);
       },
       "2023-11-14"},
      {"catalog-refused", [](agent::AgentHealth& health) { health.catalog.refused = "fork"; },
       "fork"}};
  std::set<std::string> seen;
  for (const Row& row : rows) {
    INFO(row.mode);
    agent::AgentHealth health = healthy();
    row.break_it(health);
    const auto modes = agent::degraded_modes(health);
    REQUIRE(modes.size() == 1);
    CHECK(modes[0].mode == row.mode);
    CHECK_THAT(modes[0].reason, Catch::Contains(row.reason));
    seen.insert(row.mode);
    health.degraded = modes;
    service::Metrics metrics;
    agent::HealthMetrics exported(metrics, "1", "6.1");
    exported.update(health, {}, WallTime{});
    CHECK_THAT(metrics.to_text(),
               Catch::Contains("assay_agent_degraded{mode=\"" + modes[0].mode + "\"} 1"));
  }
  std::set<std::string> rows_of_page;
  for (const auto& [mode, text] : documented("Degraded modes"))
    rows_of_page.insert(mode);
  CHECK(rows_of_page == seen);
}

TEST_CASE("counters follow totals, and gauges what is now", "[agent][unit]") {
  service::Metrics metrics;
  agent::HealthMetrics exported(metrics, "1", "6.1");
  agent::AgentHealth health = healthy();
  health.outbox.oldest = from_unix_ns(10'000'000'000);
  health.probe.loss.lost_execs = 5;
  agent::AuditorSnapshot auditor;
  auditor.late_starts = 2;
  auditor.running_by_verdict[catalog::VerdictStatus::kRevoked] = 1;
  exported.update(health, auditor, from_unix_ns(70'000'000'000));
  health.outbox.oldest.reset();
  health.probe.loss.lost_execs = 7;
  auditor.running_by_verdict.clear();
  const std::string before = metrics.to_text();
  CHECK_THAT(before, Catch::Contains("assay_agent_outbox_oldest_age_seconds 60\n"));
  CHECK_THAT(before, Catch::Contains("assay_agent_probe_lost_total{kind=\"exec\"} 5\n"));
  CHECK_THAT(before, Catch::Contains("assay_agent_late_starts_total 2\n"));
  CHECK_THAT(before, Catch::Contains("assay_agent_runs_by_verdict{verdict=\"revoked\"} 1\n"));
  exported.update(health, auditor, from_unix_ns(80'000'000'000));
  const std::string after = metrics.to_text();
  CHECK_THAT(after, Catch::Contains("assay_agent_outbox_oldest_age_seconds 0\n"));
  CHECK_THAT(after, Catch::Contains("assay_agent_probe_lost_total{kind=\"exec\"} 7\n"));
  CHECK_THAT(after, Catch::Contains("assay_agent_runs_by_verdict{verdict=\"revoked\"} 0\n"));
}

}  // namespace
}  // namespace assay
