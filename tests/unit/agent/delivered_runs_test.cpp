// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "agent/probe/delivered_runs.h"

using namespace assay;
using namespace assay::agent;
using std::chrono::seconds;

namespace {

ContainerStart overlay_start(StartCause cause, int layers) {
  ContainerStart start;
  start.key.root.inode = 7;
  start.cause = cause;
  start.is_overlay = true;
  start.layers.resize(static_cast<std::size_t>(layers));
  return start;
}

}  // namespace

TEST_CASE("a run is told once, and once more when its lost layers are found", "[agent][unit]") {
  DeliveredRuns runs;
  ContainerStart lost = overlay_start(StartCause::kExec, 2);
  lost.layers_truncated = true;
  const ContainerStart whole = overlay_start(StartCause::kSweep, 3);
  CHECK_FALSE(runs.wants_layers(lost.key, seconds(1)));
  CHECK(runs.accept(lost, seconds(1)));
  CHECK(runs.wants_layers(lost.key, seconds(1)));  // the first sweep asks at once
  CHECK(runs.accept(whole, seconds(2)));
  CHECK_FALSE(runs.wants_layers(lost.key, seconds(100)));
  CHECK_FALSE(runs.accept(whole, seconds(3)));
}

TEST_CASE("layers that cannot be read are asked for less and less often", "[agent][unit]") {
  DeliveredRuns runs;
  const ContainerStart bare = overlay_start(StartCause::kExec, 0);
  const ContainerStart swept = overlay_start(StartCause::kSweep, 0);
  CHECK(runs.accept(bare, seconds(0)));
  CHECK_FALSE(runs.accept(swept, seconds(10)));
  CHECK_FALSE(runs.wants_layers(bare.key, seconds(10)));
  CHECK(runs.wants_layers(bare.key, seconds(11)));
  CHECK_FALSE(runs.accept(swept, seconds(11)));
  CHECK_FALSE(runs.wants_layers(bare.key, seconds(12)));
  CHECK(runs.wants_layers(bare.key, seconds(13)));
}

TEST_CASE("a restart of a known root is told only after its last task went", "[agent][unit]") {
  DeliveredRuns runs;
  const ContainerStart start = overlay_start(StartCause::kExec, 3);
  CHECK(runs.accept(start, seconds(1)));
  CHECK_FALSE(runs.accept(start, seconds(2)));
  runs.mark_emptied(start.key, seconds(3));
  CHECK(runs.accept(start, seconds(4)));
}

TEST_CASE("a start that the kernel did not know the run of needs no word of the end before",
          "[agent][unit]") {
  DeliveredRuns runs;
  ContainerStart start = overlay_start(StartCause::kExec, 3);
  start.begins_life = true;
  start.process.key = {50, seconds(1)};
  CHECK(runs.accept(start, seconds(1)));
  CHECK_FALSE(runs.accept(start, seconds(2)));  // the same one, read again or swept first
  start.process.key = {51, seconds(2)};
  CHECK(runs.accept(start, seconds(3)));
  start.process.key = {52, seconds(3)};
  start.begins_life = false;
  CHECK_FALSE(runs.accept(start, seconds(4)));
}

TEST_CASE("a task that left after a sweep saw it is no sign of life", "[agent][unit]") {
  DeliveredRuns runs;
  const ContainerStart start = overlay_start(StartCause::kExec, 3);
  CHECK(runs.accept(start, seconds(1)));
  runs.mark_emptied(start.key, seconds(6));
  runs.forget_earlier_life(start.key, /*oldest_task=*/seconds(1), /*swept=*/seconds(5));
  CHECK(runs.accept(start, seconds(7)));
}

TEST_CASE("a task that a sweep sees after the end was told lived on", "[agent][unit]") {
  DeliveredRuns runs;
  const ContainerStart start = overlay_start(StartCause::kExec, 3);
  CHECK(runs.accept(start, seconds(1)));
  runs.mark_emptied(start.key, seconds(4));
  runs.forget_earlier_life(start.key, /*oldest_task=*/seconds(1), /*swept=*/seconds(5));
  CHECK_FALSE(runs.accept(start, seconds(7)));
}
