// SPDX-License-Identifier: Apache-2.0
// 300,000 running containers on 5,000 nodes in the store: how long from a revocation until the last
// finding is open, and how long "who runs this base" takes. Prints the rows of docs/performance.md.
//
//   bench_fleet FOLDER [NODES] [RUNS-PER-NODE] [STACKS-PER-NODE]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "collector/core/commit_loop.h"
#include "collector/core/policy_trial.h"
#include "collector/store/sqlite/sqlite_store.h"
#include "tests/support/fleet.h"

using namespace assay;
using namespace assay::collector;

namespace {

constexpr std::chrono::minutes kPatience{10};

double seconds_since(std::chrono::steady_clock::time_point began) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// Of the whole process: what a busy machine does not blur.
double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

int fail(const Error& error) {
  std::fprintf(stderr, "bench_fleet: %s\n", error.text().c_str());
  return 1;
}

/// Until everything is judged; false when it takes too long.
bool settle(CommitLoop& loop) {
  return loop.drain(std::chrono::duration_cast<std::chrono::milliseconds>(kPatience));
}

void print_impact(SqliteStore& store, const std::string& base) {
  std::vector<double> took;
  ImpactView impact;
  const double cpu = cpu_seconds();
  for (int i = 0; i < 21; ++i) {
    const auto began = std::chrono::steady_clock::now();
    impact = *store.impact(base);
    took.push_back(seconds_since(began) * 1000);
  }
  std::ranges::sort(took);
  std::printf(
      "impact of %s: p50 %.1f ms, max of 21 %.1f ms, CPU %.1f ms (%llu runs on %llu nodes, %zu "
      "groups)\n",
      base.c_str(), took[10], took[20], (cpu_seconds() - cpu) * 1000 / 21,
      static_cast<unsigned long long>(impact.running),
      static_cast<unsigned long long>(impact.nodes), impact.groups.size());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "bench_fleet FOLDER [NODES] [RUNS-PER-NODE] [STACKS-PER-NODE]\n");
    return 2;
  }
  tests::FleetOptions options;
  if (argc > 2) options.nodes = std::atoi(argv[2]);
  if (argc > 3) options.runs_per_node = std::atoi(argv[3]);
  if (argc > 4) options.stacks_per_node = std::atoi(argv[4]);
  SystemClock clock;
  auto store = SqliteStore::open({std::string(argv[1]) + "/fleet.db", 2});
  if (!store) return fail(store.error());
  auto began = std::chrono::steady_clock::now();
  if (auto filled = tests::fill_with_fleet(**store, options, clock.wall_now()); !filled)
    return fail(filled.error());
  std::printf("%d nodes with %d runs on %d stacks each, written in %.1f s\n", options.nodes,
              options.runs_per_node, options.stacks_per_node, seconds_since(began));
  const auto catalog = [&](std::uint64_t sequence, int revoked) {
    return std::make_shared<const catalog::Catalog>(
        tests::fleet_catalog(options, sequence, revoked));
  };
  NodeRegistry nodes({}, clock, std::chrono::seconds(10));
  auto loop = CommitLoop::start(**store, nodes, clock, catalog(1, -1), {}, {});
  if (!loop) return fail(loop.error());
  began = std::chrono::steady_clock::now();
  if (auto changed = (*loop)->change_catalog({1, "s", "h", "bench", 1}, catalog(1, -1)); !changed)
    return fail(changed.error());
  if (!settle(**loop)) return 1;
  std::printf("all judged for the first time in %.2f s\n", seconds_since(began));
  print_impact(**store, "golden:0");
  print_impact(**store, "golden:1");
  for (const auto& [sequence, revoked] : {std::pair{2, 1}, std::pair{3, -1}, std::pair{4, 0}}) {
    began = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    const auto next = catalog(static_cast<std::uint64_t>(sequence), revoked);
    if (auto changed = (*loop)->change_catalog(
            {static_cast<std::uint64_t>(sequence), "s", "h", "bench", 1}, next);
        !changed)
      return fail(changed.error());
    if (!settle(**loop)) return 1;
    if (revoked < 0) continue;
    const double took = seconds_since(began);
    const double used = cpu_seconds() - cpu;
    const auto impact = (*store)->impact("golden:" + std::to_string(revoked));
    std::printf("revocation of golden:%d: %llu runs, all findings open after %.2f s, CPU %.2f s\n",
                revoked, static_cast<unsigned long long>(impact->running), took, used);
  }
  began = std::chrono::steady_clock::now();
  catalog::Policy policy;
  policy.revoked_rung = catalog::Rung::kExact;
  const auto trial = try_policy(**store, *catalog(4, 0), policy, clock.wall_now());
  if (!trial) return fail(trial.error());
  std::printf("another policy tried on all: %.2f s (%llu verdicts would change)\n",
              seconds_since(began), static_cast<unsigned long long>(trial->changed));
  return 0;
}
