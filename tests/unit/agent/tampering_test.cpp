// SPDX-License-Identifier: Apache-2.0
// Layers that were found changed: told of runs that still stand on them, and of no others.
#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
using namespace std::chrono_literals;

constexpr const char* kWhat = "/usr/bin/ls (content, size, time)";

struct ManualWatch final : LayerWatch {
  void on_start(const LayerTask& task) override { started.push_back(ref_of(task.layer)); }
  std::vector<LayerRef> started;
};

struct Tampered : Fixture {
  explicit Tampered(int runs = 1) {
    for (int i = 0; i < runs; ++i) {
      const std::uint64_t upper = 1 + static_cast<std::uint64_t>(i);
      auditor.on_start(container(upper, clock.boot));
    }
    layer = container(1, clock.boot).layers[0];
  }
  RunKey key(std::uint64_t upper) const { return container(upper, clock.boot).key; }
  void find() { auditor.on_tampering({ref_of(layer), kWhat, true}); }
  void sweep_after(BootTime time, std::vector<RunKey> live) {
    clock.boot += time;
    auditor.on_sweep(sweep(clock.boot, std::move(live)));
  }
  std::vector<StackAdvanced> told() const {
    std::vector<StackAdvanced> moved;
    for (const StackAdvanced& one : journal.all<StackAdvanced>())
      if (one.is_of_running) moved.push_back(one);
    return moved;
  }
  LowerLayer layer;
};

TEST_CASE("a changed layer is told after a sweep saw who runs", "[agent][unit]") {
  Tampered fixture;
  const int sweeps = fixture.source.sweeps;
  fixture.find();
  CHECK(fixture.source.sweeps == sweeps + 1);
  CHECK(fixture.told().empty());
  fixture.auditor.on_sweep(sweep(fixture.clock.boot - 1s, {fixture.key(1)}));  // began before
  CHECK(fixture.told().empty());
  fixture.sweep_after(1s, {fixture.key(1)});
  REQUIRE(fixture.told().size() == 1);
  const auto& stack = fixture.journal.stacks.back();
  REQUIRE(stack);
  CHECK(stack->layers[0].evidence.tampered == kWhat);
  CHECK(stack->layers[1].evidence.tampered.empty());
  CHECK(fixture.told()[0].to == catalog::digest_of(*stack));
  CHECK(fixture.auditor.snapshot().tampered == 1);
}

TEST_CASE("it is told once, and again when more was found", "[agent][unit]") {
  Tampered fixture;
  fixture.find();
  fixture.sweep_after(1s, {fixture.key(1)});
  const int sweeps = fixture.source.sweeps;
  fixture.find();
  CHECK(fixture.source.sweeps == sweeps);
  fixture.sweep_after(1s, {fixture.key(1)});
  CHECK(fixture.told().size() == 1);
  fixture.auditor.on_tampering({ref_of(fixture.layer), std::string(kWhat) + "; /x (added)", true});
  fixture.sweep_after(1s, {fixture.key(1)});
  CHECK(fixture.told().size() == 2);
}

TEST_CASE("who removes an image after its last container tampers with nothing", "[agent][unit]") {
  Tampered fixture;
  SECTION("the end is known when the sweep begins") {
    fixture.find();
    fixture.auditor.on_emptied({fixture.key(1), fixture.clock.boot});
  }
  SECTION("the sweep finds it out") {
    fixture.find();
  }
  SECTION("the end was known before") {
    fixture.auditor.on_emptied({fixture.key(1), fixture.clock.boot});
    fixture.sweep_after(1s, {});
    fixture.find();
  }
  fixture.sweep_after(1s, {});
  fixture.sweep_after(1s, {});
  CHECK(fixture.told().empty());
  CHECK(fixture.auditor.snapshot().tampered == 0);
}

TEST_CASE("all runs on a changed layer move, and evidence that comes later keeps it",
          "[agent][unit]") {
  Tampered fixture(2);
  fixture.find();
  fixture.sweep_after(1s, {fixture.key(1), fixture.key(2)});
  REQUIRE(fixture.told().size() == 1);
  fixture.auditor.on_layer(shape_of(fixture.layer, true));
  CHECK(fixture.journal.stacks.back()->layers[0].evidence.tampered == kWhat);
  CHECK(fixture.journal.stacks.back()->layers[0].evidence.shape);
}

TEST_CASE("a start tells the watch of each of its layers", "[agent][unit]") {
  Fixture fixture;
  ManualWatch watch;
  Auditor auditor({fixture.journal,
                   fixture.identifier,
                   fixture.records,
                   fixture.open_runs,
                   fixture.source,
                   fixture.clock,
                   [](LayerResult) {},
                   {},
                   nullptr,
                   {},
                   &watch},
                  {});
  const ContainerStart start = container(1, fixture.clock.boot, 3);
  auditor.on_start(start);
  REQUIRE(watch.started.size() == 3);
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(watch.started[i] == ref_of(start.layers[i]));
}

TEST_CASE("running layers are named once each, and while a run stands on them", "[agent][unit]") {
  Fixture fixture;
  fixture.auditor.on_start(container(1, fixture.clock.boot, 2));
  fixture.auditor.on_start(container(2, fixture.clock.boot, 3));
  auto layers = fixture.auditor.running_layers();
  REQUIRE(layers.size() == 3);
  CHECK(layers[0].layer.name == "/store/0");
  fixture.auditor.on_layers({});
  fixture.clock.boot += 1s;
  fixture.auditor.on_sweep(sweep(fixture.clock.boot, {container(1, {}).key}));
  layers = fixture.auditor.running_layers();
  CHECK(layers.size() == 2);
}

TEST_CASE("a container's own root is never walked again", "[agent][unit]") {
  Fixture fixture;
  ContainerStart start = container(1, fixture.clock.boot, 0);
  start.is_overlay = false;
  start.key.root.magic = 0xef53;
  fixture.auditor.on_start(start);
  CHECK(fixture.auditor.running_layers().empty());
}

}  // namespace
}  // namespace assay::agent
