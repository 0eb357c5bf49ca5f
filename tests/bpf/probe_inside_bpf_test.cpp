// SPDX-License-Identifier: Apache-2.0
// What a container's own processes do with roots, namespaces and helpers.
#include <unistd.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::ContainerStart;
using agent::StartCause;

constexpr std::uint32_t kTmpfs = 0x01021994;

std::vector<ContainerStart> starts_in(const RunningProbe& probe, const ContainerCgroup& cgroup) {
  auto starts = probe.sink.starts();
  std::erase_if(starts,
                [&](const ContainerStart& start) { return start.key.cgroup_id != cgroup.id(); });
  return starts;
}

// A program of the host's that goes to another container's cgroup first.
std::vector<std::string> from_cgroup(const ContainerCgroup& cgroup, const std::string& command) {
  return {"sh", "-c", "echo 0 >" + cgroup.path() + "/cgroup.procs && exec " + command};
}

TEST_CASE("thousands of namespaces in one container are no starts, and make nobody unknown",
          "[probe][bpf]") {
  RunningProbe probe;
  const ContainerCgroup storming('d');
  const ContainerCgroup entering('e');
  const Bundle quiet(1);
  HeldContainer container(quiet);
  const Bundle hostile(1);
  // As `unshare -Urm true` does, and then without a user namespace.
  for (const auto& words : {std::vector<std::string>{kStarterInside, "namespaces", "500", "--user"},
                            std::vector<std::string>{kStarterInside, "namespaces", "1000"}}) {
    Program storm(hostile.run(words, {"--cgroup", storming.path()}));
    REQUIRE(storm.finish() == 0);
  }
  // Who enters the other container from a third one's cgroup still belongs to it.
  Program joined(from_cgroup(
      entering, starter_path() + " join " + container.pid + " " + kStarterInside + " true"));
  REQUIRE(joined.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return execs_of(probe.sink, quiet).size() == 1; }));
  CHECK(starts_of(probe.sink, quiet).size() == 1);
  CHECK(starts_in(probe, entering).empty());
  CHECK(starts_in(probe, storming).size() == 2);
  const agent::LossCounters loss = probe.source->health().loss;
  CHECK(loss.map_failures() == 0);
  CHECK(loss.lost_starts == 0);
  CHECK(loss.held_back_starts == 0);
  CHECK(container.program.finish() == 0);
}

TEST_CASE("a task that takes a root of its own in a container and executes nothing is told",
          "[probe][bpf]") {
  RunningProbe probe;
  const ContainerCgroup cgroup('d');
  const Bundle bundle(1);
  Program container(bundle.run({kStarterInside, "silent-root"}, {"--cgroup", cgroup.path()}));
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  const auto starts = starts_in(probe, cgroup);
  REQUIRE(starts.size() == 2);
  CHECK(starts[0].cause == StartCause::kExec);
  CHECK(starts[1].cause == StartCause::kNoExec);
  CHECK(starts[1].key.root.magic == kTmpfs);
  CHECK(starts[1].ancestors.front().key == starts[0].process.key);
  const auto ends = probe.sink.emptied();
  CHECK(std::count_if(ends.begin(), ends.end(),
                      [&](const auto& end) { return end.key == starts[1].key; }) == 1);
}

TEST_CASE("a run goes on while one task is left, though the first has ended", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  Program container(bundle.run({kStarterInside, "leave"}, {"--own-pids"}));
  container.read_line();
  REQUIRE(container.read_line() == "alone");
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) == 0);
  CHECK(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  run_to_end(probe);
  // The last task executed nothing, and its run was known: it is no start of its own.
  CHECK(starts_of(probe.sink, bundle).size() == 1);
  CHECK(ends_of(probe.sink, bundle) == 1);
}

TEST_CASE("a run goes on while a task of the host's is in it", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  auto container = std::make_unique<HeldContainer>(bundle);
  Program entered({starter_path(), "join-root", container->pid, kStarterInside, "hold"});
  REQUIRE(entered.read_line() == "ready");
  CHECK(container->program.finish() == 0);
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) == 0);
  CHECK(entered.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  CHECK(starts_of(probe.sink, bundle).size() == 1);
}

TEST_CASE("a hook that runs before the entrypoint is told from it", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  Program container(bundle.run({kStarterInside, "true"}, {"--hook"}));
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return execs_of(probe.sink, bundle).size() == 1; }));
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].cause == StartCause::kChildExec);
  // The process that waited for the hook executes the entrypoint.
  CHECK(execs_of(probe.sink, bundle).front().process.key == starts[0].ancestors.front().key);
}

TEST_CASE("an init that was mounted into the container is told from the image's own",
          "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  Program container(bundle.run({kStarterInside, "storm", "1"}, {"--injected"}));
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].cause == StartCause::kInjectedExec);
  CHECK(execs_of(probe.sink, bundle).size() == 1);
}

}  // namespace
}  // namespace assay::tests
