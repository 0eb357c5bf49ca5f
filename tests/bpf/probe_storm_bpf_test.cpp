// SPDX-License-Identifier: Apache-2.0
// A storm in one container takes no other container's place.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::Budget;
using agent::RunNoise;

std::size_t starts_in(const RunningProbe& probe, std::uint64_t cgroup_id) {
  const auto starts = probe.sink.starts();
  return static_cast<std::size_t>(std::count_if(
      starts.begin(), starts.end(),
      [&](const agent::ContainerStart& start) { return start.key.cgroup_id == cgroup_id; }));
}

std::vector<RunNoise> noises_of(const RunningProbe& probe, const Bundle& bundle) {
  auto noises = probe.sink.noises();
  std::erase_if(noises, [&](const RunNoise& noise) { return !bundle.owns(noise.key); });
  return noises;
}

TEST_CASE("a storm of execs in one container loses no other container's start", "[probe][bpf]") {
  constexpr int kExecs = 3000;
  agent::ProbeOptions options;
  options.exec_ring_bytes = 64 << 10;
  options.exec_budget_per_second = 20;  // less than any machine makes
  RunningProbe probe(options);
  const ContainerCgroup cgroup('a');
  const Bundle stormy(1);
  Program storm(
      stormy.run({kStarterInside, "storm", std::to_string(kExecs)}, {"--cgroup", cgroup.path()}));
  storm.read_line();
  const auto others = make_bundles(30, 3);
  for (const auto& bundle : others)
    run_short(*bundle);
  REQUIRE(storm.finish() == 0);
  for (const auto& bundle : others) {
    REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, *bundle) == 1; }));
    REQUIRE(starts_of(probe.sink, *bundle).size() == 1);
    CHECK(starts_of(probe.sink, *bundle).front().layers.size() == 3);
  }
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, stormy) == 1; }));
  const agent::LossCounters loss = probe.source->health().loss;
  CHECK(loss.lost_starts == 0);
  CHECK(loss.lost_layers == 0);
  CHECK(starts_of(probe.sink, stormy).size() == 1);
  // Every exec is either told, or counted.
  CHECK(execs_of(probe.sink, stormy).size() + loss.held_back_execs + loss.lost_execs == kExecs);
  CHECK(loss.held_back_execs > 0);
  REQUIRE_FALSE(noises_of(probe, stormy).empty());
  CHECK(noises_of(probe, stormy).front().budget == Budget::kExecs);
  CHECK(noises_of(probe, stormy).front().limit == options.exec_budget_per_second);
}

TEST_CASE("a run that keeps to its budget again is no longer noisy", "[probe][bpf]") {
  agent::ProbeOptions options;
  options.exec_budget_per_second = 1;
  options.quiet_after = std::chrono::milliseconds(500);
  RunningProbe probe(options);
  const Bundle bundle(1);
  HeldContainer container(bundle);
  for (int i = 0; i < 5; ++i)
    container.execute();
  REQUIRE(probe.sink.wait_for([&] {
    const auto noises = noises_of(probe, bundle);
    return !noises.empty() && noises.back().is_over;
  }));
  const auto noises = noises_of(probe, bundle);
  CHECK_FALSE(noises.front().is_over);
  CHECK(noises.back().dropped == probe.source->health().loss.held_back_execs);
  CHECK(noises.back().dropped >= 3);
  CHECK(noises.back().time >= noises.back().since);
}

TEST_CASE("a container that makes one root after the other pushes no other's start out",
          "[probe][bpf]") {
  constexpr int kRoots = 600;
  RunningProbe probe;
  const ContainerCgroup cgroup('b');
  const Bundle hostile(1);
  const auto others = make_bundles(30, 3);
  // Nobody reads meanwhile: the ring buffer has room for some 380 of its starts.
  probe.sink.hold(true);
  probe.source->request_sweep();
  Program roots(
      hostile.run({kStarterInside, "roots", std::to_string(kRoots)}, {"--cgroup", cgroup.path()}));
  REQUIRE(roots.finish() == 0);
  const agent::LossCounters crowded = probe.source->health().loss;
  CHECK(crowded.lost_starts == 0);
  CHECK(crowded.held_back_starts > 0);
  for (const auto& bundle : others)
    run_short(*bundle);
  probe.sink.hold(false);
  for (const auto& bundle : others) {
    REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, *bundle) == 1; }));
    REQUIRE(starts_of(probe.sink, *bundle).size() == 1);
    CHECK(starts_of(probe.sink, *bundle).front().layers.size() == 3);
  }
  const agent::LossCounters loss = probe.source->health().loss;
  CHECK(loss.lost_starts == 0);
  CHECK(loss.lost_layers == 0);
  CHECK(loss.ended_untold == 0);  // what was held back is the run's noise, not the node's gap
  CHECK(starts_in(probe, cgroup.id()) + loss.held_back_starts == 1 + kRoots);
  REQUIRE_FALSE(noises_of(probe, hostile).empty());
  CHECK(noises_of(probe, hostile).front().budget == Budget::kStarts);
  CHECK(probe.sink.gaps().empty());
}

TEST_CASE("as long as there is room every root of a container is told", "[probe][bpf]") {
  constexpr int kRoots = 200;
  agent::ProbeOptions options;
  options.start_budget = 1;
  options.start_ring_bytes = 4 << 20;
  RunningProbe probe(options);
  const ContainerCgroup cgroup('c');
  const Bundle bundle(1);
  Program roots(
      bundle.run({kStarterInside, "roots", std::to_string(kRoots)}, {"--cgroup", cgroup.path()}));
  REQUIRE(roots.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return starts_in(probe, cgroup.id()) == 1 + kRoots; }));
  CHECK(probe.source->health().loss.held_back_starts == 0);
}

TEST_CASE("with every map full each container is told once", "[probe][bpf]") {
  agent::ProbeOptions options;
  options.max_runs = 16;
  options.max_marks = 16;
  RunningProbe probe(options);
  const auto bundles = make_bundles(40, 2);
  std::vector<std::unique_ptr<HeldContainer>> containers;
  for (const auto& bundle : bundles)
    containers.push_back(std::make_unique<HeldContainer>(*bundle));
  // A flood of roots and namespaces flushes what is kept for a while only.
  const Bundle hostile(1);
  Program roots(hostile.run({kStarterInside, "roots", "50"}));
  REQUIRE(roots.finish() == 0);
  for (const auto& container : containers)
    container->execute();
  const Bundle no_exec(2);
  Program silent(no_exec.run({}, {"--no-exec"}));
  REQUIRE(silent.finish() == 0);
  for (const auto& bundle : bundles)
    REQUIRE(probe.sink.wait_for([&] { return execs_of(probe.sink, *bundle).size() == 1; }));
  for (const auto& bundle : bundles) {
    REQUIRE(starts_of(probe.sink, *bundle).size() == 1);
    CHECK(starts_of(probe.sink, *bundle).front().layers.size() == 2);
  }
  REQUIRE(probe.sink.wait_for([&] { return starts_of(probe.sink, no_exec).size() == 1; }));
  const agent::LossCounters loss = probe.source->health().loss;
  CHECK(loss.runs_full > 0);
  CHECK(loss.marks_full > 0);
  CHECK(loss.lost_starts == 0);
  // And what a map had no room for has an end all the same.
  for (const auto& container : containers)
    CHECK(container->program.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] {
    probe.source->request_sweep();
    const auto sweeps = probe.sink.sweeps();
    return std::none_of(sweeps.back().live.begin(), sweeps.back().live.end(),
                        [&](const agent::RunKey& key) {
                          return std::any_of(bundles.begin(), bundles.end(),
                                             [&](const auto& bundle) { return bundle->owns(key); });
                        });
  }));
}

}  // namespace
}  // namespace assay::tests
