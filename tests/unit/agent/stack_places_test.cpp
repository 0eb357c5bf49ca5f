// SPDX-License-Identifier: Apache-2.0
#include "agent/core/stack_places.h"

#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using tests::container;
using tests::Fixture;

StackDigest digest(std::uint8_t fill) {
  StackDigest one;
  one.bytes.fill(fill);
  return one;
}

std::vector<LayerTask> tasks_of(const ContainerStart& start) {
  std::vector<LayerTask> tasks;
  for (const LowerLayer& layer : start.layers)
    tasks.push_back({layer, start});
  return tasks;
}

TEST_CASE("places are found under the newest digest, the oldest go first", "[agent][unit]") {
  ContainerStart start = container(1, BootTime(5), 3);
  StackPlaces places(2 * memory_of(start) + 100);  // two of them
  start.arguments = {"long"};
  places.put(digest(1), tasks_of(start));
  places.move(digest(1), digest(2));
  CHECK(places.find(digest(1)).empty());
  const auto found = places.find(digest(2));
  REQUIRE(found.size() == 3);
  CHECK(found[2].layer.inode == start.layers[2].inode);
  CHECK(found[2].start.process.key.tgid == start.process.key.tgid);
  CHECK(found[0].start.arguments.empty());
  places.put(digest(3), tasks_of(start));
  places.put(digest(2), tasks_of(start));  // seen again
  places.put(digest(4), tasks_of(start));
  CHECK(places.size() == 2);
  CHECK(places.find(digest(3)).empty());
  CHECK(places.find(digest(2)).size() == 3);
  places.move(digest(9), digest(8));  // unknown
  CHECK(places.find(digest(8)).empty());
}

TEST_CASE("the auditor knows where the layers of a stack lie after its run is gone",
          "[agent][unit]") {
  Fixture here;
  const ContainerStart start = container(1, BootTime(100));
  here.auditor.on_start(start);
  const auto* told = std::get_if<RunStarted>(&here.journal.events.back());
  REQUIRE(told);
  CHECK(here.auditor.layers_of(*told->stack).size() == 2);
  here.auditor.on_layer(tests::shape_of(start.layers[0], true));
  here.auditor.on_layer(tests::shape_of(start.layers[1], true));
  const auto* advanced = std::get_if<StackAdvanced>(&here.journal.events.back());
  REQUIRE(advanced);
  const StackDigest last = advanced->to;
  here.auditor.on_sweep(tests::sweep(BootTime(200), {}));
  CHECK(here.auditor.layers_of(last).size() == 2);
}

}  // namespace
}  // namespace assay::agent
