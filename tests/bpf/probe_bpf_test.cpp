// SPDX-License-Identifier: Apache-2.0
// What the probe tells about real containers, started by hand.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/bpf/probe_fixture.h"

namespace assay::tests {
namespace {

using agent::ContainerExec;
using agent::ContainerStart;
using agent::LowerLayer;
using agent::RunKey;
using agent::StartCause;
using agent::SweepCompleted;

constexpr char kProgram[] = "/bin/starter";

std::uint64_t namespace_of(const std::string& process, const char* name) {
  struct stat status {};
  REQUIRE(::stat(("/proc/" + process + "/ns/" + name).c_str(), &status) == 0);
  return status.st_ino;
}

void check_layer(const LowerLayer& layer, const Bundle& bundle, int index) {
  struct stat status {};
  REQUIRE(::stat(bundle.layer(index).c_str(), &status) == 0);
  CHECK(layer.device == status.st_dev);
  CHECK(layer.inode == status.st_ino);
  CHECK(layer.generation == generation_of(bundle.layer(index)));
  CHECK(layer.name == "l/" + std::to_string(index));
  CHECK_FALSE(layer.name_is_truncated);
  CHECK_FALSE(layer.is_id_mapped);
  CHECK_FALSE(layer.is_data_only);
}

bool is_live(const SweepCompleted& sweep, const Bundle& bundle) {
  return std::any_of(sweep.live.begin(), sweep.live.end(),
                     [&](const RunKey& key) { return bundle.owns(key); });
}

TEST_CASE("a container's first exec is told once, with all facts", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(3);
  const BootTime before = probe.clock.boot_now();
  HeldContainer container(bundle);
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  const ContainerStart start = starts_of(probe.sink, bundle).front();

  CHECK(start.cause == StartCause::kExec);
  CHECK(start.time > before);
  CHECK(start.time < probe.clock.boot_now());
  CHECK(start.process.key.tgid == std::stoul(container.pid));
  CHECK(start.process.name == "starter");
  CHECK(start.namespace_pids ==
        std::vector<std::uint32_t>{static_cast<std::uint32_t>(std::stoul(container.pid)), 1});
  CHECK(start.executable == kProgram);
  CHECK(start.arguments == std::vector<std::string>{kProgram, "hold"});
  CHECK_FALSE(start.arguments_truncated);
  CHECK(start.uid == 0);

  REQUIRE(start.ancestors.size() >= 2);
  CHECK(start.ancestors[0].key.tgid == static_cast<std::uint32_t>(container.program.pid()));
  CHECK(start.ancestors[0].name == "starter");
  CHECK(start.ancestors[1].key.tgid == static_cast<std::uint32_t>(::getpid()));
  CHECK(start.ancestors.back().key.tgid == 1);

  CHECK(start.mount_namespace == namespace_of(container.pid, "mnt"));
  CHECK(start.pid_namespace == namespace_of(container.pid, "pid"));
  CHECK(start.user_namespace == namespace_of("self", "user"));
  CHECK_FALSE(start.in_host_mount_namespace);
  CHECK_FALSE(start.in_host_pid_namespace);
  CHECK(start.in_host_user_namespace);
  CHECK_FALSE(start.is_host_root);
  CHECK(start.cgroup_path.front() == '/');

  CHECK(start.is_overlay);
  CHECK_FALSE(start.layers_truncated);
  CHECK_FALSE(start.overlay.metacopy);
  CHECK(start.overlay.data_only_layers == 0);
  CHECK(start.key.root.generation == generation_of(bundle.path() + "/upper"));
  CHECK(start.key.root.magic == 0x794c7630);
  REQUIRE(start.layers.size() == 3);
  for (int i = 0; i < 3; ++i)
    check_layer(start.layers[static_cast<std::size_t>(i)], bundle, i);

  CHECK(container.program.finish() == 0);
  run_to_end(probe);
  CHECK(starts_of(probe.sink, bundle).size() == 1);
}

TEST_CASE("a second exec in a container is an exec of the same run", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  HeldContainer container(bundle);
  container.execute();
  REQUIRE(probe.sink.wait_for([&] { return !execs_of(probe.sink, bundle).empty(); }));
  const ContainerExec exec = execs_of(probe.sink, bundle).front();
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(exec.key == starts.front().key);
  CHECK(exec.parent.key == starts.front().process.key);
  CHECK(exec.executable == kProgram);
  CHECK(exec.arguments == std::vector<std::string>{kProgram, "true"});
  CHECK_FALSE(exec.is_from_upper);
}

TEST_CASE("who enters a container and executes there is no start", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  // Written into the upper directory: not from the image.
  std::filesystem::create_directory(bundle.path() + "/upper/bin");
  std::filesystem::copy_file(starter_path(), bundle.path() + "/upper/bin/own");
  HeldContainer container(bundle);
  Program joined({starter_path(), "join", container.pid, "/bin/own", "true"});
  REQUIRE(joined.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return !execs_of(probe.sink, bundle).empty(); }));
  CHECK(execs_of(probe.sink, bundle).front().is_from_upper);
  run_to_end(probe);
  CHECK(starts_of(probe.sink, bundle).size() == 1);
  CHECK(ends_of(probe.sink, bundle) == 0);
}

TEST_CASE("the end is told once, after the last task", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  HeldContainer container(bundle);
  container.execute();
  container.execute();
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) == 0);
  CHECK(container.program.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) == 1);
  CHECK(starts_of(probe.sink, bundle).size() == 1);
}

TEST_CASE("a sweep sees nobody who was told to have left", "[probe][bpf]") {
  agent::ProbeOptions options;
  options.min_sweep_gap = std::chrono::milliseconds(0);
  RunningProbe probe(options);
  const Bundle bundle(1);
  std::atomic<bool> is_over{false};
  std::thread sweeping([&] {
    while (!is_over)
      probe.source->request_sweep();
  });
  for (int i = 0; i < 100; ++i)
    run_short(bundle);
  is_over = true;
  sweeping.join();
  // An end is a hint and may come twice when a sweep and an exit meet, so that to count them does
  // not tell that the last life has been told of; a start never does.
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) >= 100);
  CHECK(starts_of(probe.sink, bundle).size() == 100);
  // A sweep that meets a start does not tell of it first, as if it had been found late.
  for (const ContainerStart& start : starts_of(probe.sink, bundle))
    CHECK(start.cause == StartCause::kExec);
  // Each life begins after the end of the one before: no sweep that began in between shows the
  // root.
  const auto starts = starts_of(probe.sink, bundle);
  const auto ends = probe.sink.emptied();
  for (const SweepCompleted& sweep : probe.sink.sweeps()) {
    const bool is_between = std::all_of(starts.begin(), starts.end(), [&](const auto& start) {
      const auto end = std::find_if(ends.begin(), ends.end(), [&](const auto& one) {
        return one.key == start.key && one.time >= start.time;
      });
      return sweep.completed < start.time || (end != ends.end() && sweep.began > end->time);
    });
    if (is_between) CHECK_FALSE(is_live(sweep, bundle));
  }
}

TEST_CASE("a program executed by a thread is counted like any other", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  HeldContainer container(bundle, {"--threads"});
  container.execute();
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) == 0);
  CHECK(container.program.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  CHECK(starts_of(probe.sink, bundle).size() == 1);
}

TEST_CASE("a container that ran before the probe is found by the first sweep", "[probe][bpf]") {
  const Bundle bundle(40);
  HeldContainer container(bundle);
  RunningProbe probe;
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  const ContainerStart& start = starts.front();
  CHECK(start.cause == StartCause::kSweep);
  CHECK(start.time == start.process.key.start);
  CHECK(start.process.key.tgid == std::stoul(container.pid));
  CHECK(start.executable == kProgram);
  CHECK(start.arguments == std::vector<std::string>{kProgram, "hold"});
  REQUIRE(start.layers.size() == 40);
  for (int i = 0; i < 40; ++i)
    check_layer(start.layers[static_cast<std::size_t>(i)], bundle, i);
  CHECK(is_live(probe.sink.sweeps().front(), bundle));

  container.execute();
  REQUIRE(probe.sink.wait_for([&] { return execs_of(probe.sink, bundle).size() == 1; }));
  CHECK(container.program.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  const std::size_t sweeps = probe.sink.sweeps().size();
  probe.source->request_sweep();
  REQUIRE(probe.sink.wait_for([&] { return probe.sink.sweeps().size() > sweeps; }));
  CHECK_FALSE(is_live(probe.sink.sweeps().back(), bundle));
  CHECK(starts_of(probe.sink, bundle).size() == 1);
}

TEST_CASE("an unknown root by chroot is a start in the host's namespaces", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  Program chrooted({starter_path(), "chroot", bundle.layer(0), kProgram, "true"});
  REQUIRE(chrooted.finish() == 0);
  run_to_end(probe);
  struct stat root {};
  REQUIRE(::stat(bundle.layer(0).c_str(), &root) == 0);
  auto starts = probe.sink.starts();
  std::erase_if(starts, [&](const ContainerStart& s) { return s.key.root.inode != root.st_ino; });
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].key.root.device == root.st_dev);
  CHECK(starts[0].in_host_mount_namespace);
  CHECK_FALSE(starts[0].is_overlay);
  CHECK(starts[0].layers.empty());
}

TEST_CASE("an overlay without an upper directory is told by its root directory", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(2);
  Program container(bundle.run({kProgram, "true"}, {"--read-only"}));
  const std::string line = container.read_line();
  REQUIRE(container.finish() == 0);
  run_to_end(probe);
  auto starts = probe.sink.starts();
  std::erase_if(starts, [&](const ContainerStart& start) {
    return start.process.key.tgid != std::stoul(line.substr(4));
  });
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].is_overlay);
  REQUIRE(starts[0].layers.size() == 2);
  check_layer(starts[0].layers[0], bundle, 0);
}

TEST_CASE("fifty containers of a few milliseconds are all told", "[probe][bpf]") {
  RunningProbe probe;
  std::vector<std::unique_ptr<Bundle>> bundles;
  for (int i = 0; i < 50; ++i)
    bundles.push_back(std::make_unique<Bundle>(3));
  std::vector<std::unique_ptr<Program>> programs;
  for (const auto& bundle : bundles)
    programs.push_back(std::make_unique<Program>(bundle->run({kProgram, "true"})));
  for (const auto& program : programs)
    CHECK(program->finish() == 0);
  for (const auto& bundle : bundles) {
    REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, *bundle) == 1; }));
    const auto starts = starts_of(probe.sink, *bundle);
    REQUIRE(starts.size() == 1);
    CHECK(starts[0].layers.size() == 3);
    CHECK_FALSE(starts[0].layers_truncated);
  }
  CHECK(probe.source->health().loss.lost_starts == 0);
}

TEST_CASE("a container that executes nothing is told when it ends", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(2);
  Program container(bundle.run({}, {"--no-exec"}));
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].cause == StartCause::kNoExec);
  CHECK(starts[0].layers.size() == 2);
}

TEST_CASE("a runtime's helper that makes the root and exits is no start of its own",
          "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  run_short(bundle, {"--helper"});
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(starts.front().cause == StartCause::kExec);
}

TEST_CASE("a runtime's own init, which executes nothing, is part of the run", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  run_short(bundle, {"--init"});
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  run_to_end(probe);
  CHECK(ends_of(probe.sink, bundle) == 1);
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(starts.front().cause == StartCause::kChildExec);
}

TEST_CASE("of two tasks that execute nothing the last one to exit is told", "[probe][bpf]") {
  RunningProbe probe;
  const Bundle bundle(1);
  Program container(bundle.run({kProgram, "true"}, {"--helper", "--no-exec"}));
  REQUIRE(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  const auto starts = starts_of(probe.sink, bundle);
  REQUIRE(starts.size() == 1);
  CHECK(starts.front().cause == StartCause::kNoExec);
}

TEST_CASE("a sweep finds a container that executes nothing, once it is old enough",
          "[probe][bpf]") {
  agent::ProbeOptions options;
  options.never_executed_age = std::chrono::milliseconds(100);
  options.sweep_interval = std::chrono::milliseconds(100);
  RunningProbe probe(options);
  const Bundle bundle(2);
  Program container(bundle.run({}, {"--no-exec"}));
  REQUIRE(probe.sink.wait_for([&] { return !starts_of(probe.sink, bundle).empty(); }));
  CHECK(starts_of(probe.sink, bundle).front().cause == StartCause::kSweep);
  CHECK(container.finish() == 0);
  REQUIRE(probe.sink.wait_for([&] { return ends_of(probe.sink, bundle) == 1; }));
  CHECK(starts_of(probe.sink, bundle).size() == 1);
}

// The last arguments of the starts on the host's own root.
std::set<std::string> host_root_starts(const RunningProbe& probe) {
  std::set<std::string> seen;
  for (const ContainerStart& start : probe.sink.starts())
    if (start.is_host_root && !start.arguments.empty()) seen.insert(start.arguments.back());
  return seen;
}

TEST_CASE("the host's own root is a start only with more than a mount namespace of its own",
          "[probe][bpf]") {
  RunningProbe probe;
  Program plain({"unshare", "--mount", "/bin/true", "plain"});
  REQUIRE(plain.finish() == 0);
  Program contained({"unshare", "--mount", "--pid", "--fork", "/bin/true", "contained"});
  REQUIRE(contained.finish() == 0);
  run_to_end(probe);
  const std::set<std::string> seen = host_root_starts(probe);
  CHECK(seen.count("plain") == 0);
  CHECK(seen.count("contained") == 1);
}

TEST_CASE("a runtime's init in the container's cgroup is no start on the host's root",
          "[probe][bpf]") {
  RunningProbe probe;
  const ContainerCgroup cgroup('c');
  const std::string enter = "echo 0 >" + cgroup.path() + "/cgroup.procs && ";
  // podman's runc: in a mount namespace of the runtime's, and then in the cgroup, it executes
  // itself.
  const std::string init = "(" + enter + "exec /bin/true init); true";
  Program runtime({"unshare", "--mount", "sh", "-c", init});
  REQUIRE(runtime.finish() == 0);
  Program contained({"sh", "-c", enter + "exec unshare --mount /bin/true contained"});
  REQUIRE(contained.finish() == 0);
  run_to_end(probe);
  const std::set<std::string> seen = host_root_starts(probe);
  CHECK(seen.count("init") == 0);
  CHECK(seen.count("contained") == 1);
}

}  // namespace
}  // namespace assay::tests
