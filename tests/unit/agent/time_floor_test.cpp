// SPDX-License-Identifier: Apache-2.0
#include "agent/core/time_floor.h"

#include <catch2/catch.hpp>

#include "tests/unit/agent/fakes.h"

using namespace assay;
using namespace assay::agent;
using namespace assay::agent::tests;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

/// Lets `time` go by, with a look at the clock each second.
void pass(FakeClock& clock, TimeFloor& floor, seconds time) {
  for (seconds one{0}; one < time; one += seconds(1)) {
    clock.boot += seconds(1);
    floor.observe();
  }
}

}  // namespace

TEST_CASE("a clock that is set back an hour takes no date back", "[agent][unit]") {
  FakeClock clock;
  TimeFloor floor(clock, std::nullopt);
  pass(clock, floor, minutes(30));
  const WallTime before = floor.wall_now();
  clock.set_by = -hours(1);
  CHECK(floor.wall_now() >= before);
  pass(clock, floor, minutes(30));
  CHECK(floor.wall_now() >= before);
  CHECK(floor.wall_now() < before + minutes(1));
  // Once the clock has caught up, it is the time again.
  pass(clock, floor, minutes(45));
  CHECK(floor.wall_now() == clock.wall_now());
}

TEST_CASE("a jump ahead that is taken back leaves nothing behind", "[agent][unit]") {
  FakeClock clock;
  TimeFloor floor(clock, std::nullopt);
  pass(clock, floor, minutes(30));
  clock.set_by = hours(24 * 365);
  CHECK(floor.wall_now() == clock.wall_now());  // meanwhile it is believed
  pass(clock, floor, minutes(30));
  clock.set_by = {};
  CHECK(floor.wall_now() == clock.wall_now());
  CHECK(floor.observe() <= clock.wall_now());
}

TEST_CASE("a clock that is wrong at boot and put right soon leaves nothing behind",
          "[agent][unit]") {
  FakeClock clock;
  clock.set_by = hours(24 * 365);
  TimeFloor floor(clock, std::nullopt);
  pass(clock, floor, minutes(5));
  clock.set_by = {};
  pass(clock, floor, minutes(30));
  CHECK(floor.wall_now() == clock.wall_now());
}

TEST_CASE("the floor of an earlier life and signed times hold at once", "[agent][unit]") {
  FakeClock clock;
  TimeFloor floor(clock, clock.wall_now() + hours(2));
  CHECK(floor.wall_now() == clock.wall_now() + hours(2));
  floor.raise(clock.wall_now() + hours(3));
  CHECK(floor.wall_now() == clock.wall_now() + hours(3));
  floor.raise(clock.wall_now() + hours(1));
  CHECK(floor.observe() == clock.wall_now() + hours(3));
}
