// SPDX-License-Identifier: Apache-2.0
// Containers that run by their runtimes' records and that the kernel does not show.
#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
using namespace std::chrono_literals;

struct ManualContainers final : RecordedContainers {
  std::vector<RecordedContainer> list(
      const std::function<bool(const std::string& id)>& is_known) override {
    std::vector<RecordedContainer> found;
    for (const RecordedContainer& container : containers)
      if (!is_known(container.names.container_id)) found.push_back(container);
    return found;
  }
  std::vector<RecordedContainer> containers;
};

RecordedContainer recorded(const std::string& id, std::uint32_t process, std::string sandbox) {
  RecordedContainer container;
  container.start.key.root = {7, 1000 + process, 0, 0};
  container.start.cause = StartCause::kRecord;
  container.start.time = 90s;
  container.start.process = {{process, 90s}, "runsc-sandbox"};
  container.start.sandbox = std::move(sandbox);
  container.names.container_id = id;
  container.names.name = "web";
  container.names.runtime = "containerd";
  return container;
}

struct Node : Fixture {
  ManualContainers recorded_containers;
  Auditor watcher;
  explicit Node(RuntimeRecords* other = nullptr)
      : watcher({journal,
                 identifier,
                 other != nullptr ? *other : records,
                 open_runs,
                 source,
                 clock,
                 [](LayerResult) {},
                 {},
                 &claims,
                 [](RunClaims) {},
                 nullptr,
                 nullptr,
                 {},
                 &recorded_containers},
                config()) {}
  static AuditorConfig config() {
    AuditorConfig made;
    made.cluster = "test";
    made.node = "node-1";
    made.boot_id = "boot-1";
    return made;
  }
  void look(std::vector<RunKey> live = {}, std::chrono::milliseconds later = 60s) {
    clock.boot += later;
    watcher.on_sweep(sweep(clock.boot, std::move(live)));
  }
};

TEST_CASE("a container in a sandbox is told at the first look, and ends with its record",
          "[agent][unit]") {
  Node node;
  node.recorded_containers.containers = {recorded("one", 50, "gVisor")};
  node.look();
  node.look();  // and once only
  const auto started = node.journal.all<RunStarted>();
  REQUIRE(started.size() == 1);
  CHECK(started[0].kind == RunKind::kVmSandbox);
  CHECK(started[0].names.name == "web");
  CHECK(started[0].is_late);
  CHECK(started[0].verdict.status == catalog::VerdictStatus::kUnknown);
  CHECK_THAT(started[0].verdict.reason, Catch::Contains("its processes run in gVisor"));
  CHECK(node.identifier.asked.empty());
  node.recorded_containers.containers.clear();
  node.look();
  const auto ended = node.journal.all<RunEnded>();
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].run_id == started[0].run_id);
  CHECK(ended[0].is_approximate);
}

TEST_CASE("a record of the node's own kernel is told at the second look in a row",
          "[agent][unit]") {
  Node node;
  node.recorded_containers.containers = {recorded("one", 50, "")};
  node.look();
  CHECK(node.journal.all<RunStarted>().empty());
  node.recorded_containers.containers.clear();  // it was on its way out
  node.look();
  node.recorded_containers.containers = {recorded("one", 50, "")};
  node.look();
  CHECK(node.journal.all<RunStarted>().empty());
  node.look();
  const auto started = node.journal.all<RunStarted>();
  REQUIRE(started.size() == 1);
  CHECK(started[0].kind == RunKind::kContainer);
  CHECK_THAT(started[0].verdict.reason, Catch::Contains("no process of it showed a root"));
}

TEST_CASE("looks that follow each other at once are no second look", "[agent][unit]") {
  Node node;
  node.recorded_containers.containers = {recorded("one", 50, "")};
  for (int i = 0; i < 20; ++i)
    node.look({}, 50ms);
  CHECK(node.journal.all<RunStarted>().empty());
  node.look({}, 10s);
  CHECK(node.journal.all<RunStarted>().size() == 1);
}

TEST_CASE("a record of a container that the kernel shows is no other one", "[agent][unit]") {
  Node node;
  ContainerStart shown = container(5, node.clock.boot);
  const RunKey key = shown.key;
  const std::uint32_t process = shown.process.key.tgid;
  node.records.names.container_id = "one";
  node.records.names.is_bound_to_kernel = true;
  node.watcher.on_start(shown);
  const auto look_twice = [&](RecordedContainer record) {
    node.recorded_containers.containers = {std::move(record)};
    node.look({key});
    node.look({key});
    return node.journal.all<RunStarted>().size();
  };
  CHECK(look_twice(recorded("one", 50, "")) == 1);  // by its id
  CHECK(look_twice(recorded("one", 50, "gVisor")) == 1);
  CHECK(look_twice(recorded("two", process, "")) == 1);  // by its first process
  RecordedContainer same_root = recorded("three", 51, "");
  same_root.root_device = key.root.device;
  CHECK(look_twice(same_root) == 1);
  CHECK(look_twice(recorded("four", 52, "")) == 2);
}

TEST_CASE("a start whose record names a sandbox is one, whatever its root", "[agent][unit]") {
  struct SandboxRecords final : RuntimeRecords {
    ContainerNames look_up(const ContainerStart&) override { return names; }
    std::string sandbox_of(const ContainerNames&, const ContainerStart&) override {
      return "gVisor";
    }
    ContainerNames names;
  } records;
  records.names.container_id = "one";
  Node node(&records);
  ContainerStart on_layers = container(5, node.clock.boot);
  node.watcher.on_start(on_layers);
  ContainerStart empty_root = container(6, node.clock.boot);
  empty_root.is_overlay = false;
  empty_root.layers.clear();
  empty_root.key.root.magic = 0x01021994;
  node.watcher.on_start(empty_root);
  const auto started = node.journal.all<RunStarted>();
  REQUIRE(started.size() == 2);
  for (const RunStarted& run : started) {
    CHECK(run.kind == RunKind::kVmSandbox);
    CHECK_THAT(run.verdict.reason, Catch::Contains("gVisor"));
  }
  CHECK(node.identifier.asked.size() == on_layers.layers.size());  // the layers are known
  // The next sweep shows the same root, and takes nothing of it back.
  on_layers.cause = StartCause::kSweep;
  node.watcher.on_start(on_layers);
  CHECK(node.journal.all<StackAdvanced>().empty());
}

}  // namespace
}  // namespace assay::agent
