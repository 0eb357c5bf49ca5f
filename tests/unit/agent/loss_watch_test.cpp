// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/loss_watch.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::agent;
using std::chrono::seconds;

namespace {

LossWatch watch_from(BootTime well) {
  return {WellPoint{well, {}}, seconds(10)};
}

LossCounters lost(std::uint64_t starts, std::uint64_t untold) {
  LossCounters counters;
  counters.lost_starts = starts;
  counters.ended_untold = untold;
  return counters;
}

}  // namespace

TEST_CASE("nothing lost: all is well until now, and nothing is told", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(1));
  CHECK_FALSE(watch.observe({}, seconds(2)));
  CHECK(watch.well().time == seconds(2));
  CHECK_FALSE(watch.swept({}, {}, seconds(3)));
  CHECK(watch.well().time == seconds(3));
  CHECK_FALSE(watch.is_open());
}

TEST_CASE("what a sweep finds again is no gap", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(1));
  CHECK(watch.observe(lost(2, 0), seconds(2)));
  CHECK(watch.well().time == seconds(1));
  CHECK_FALSE(watch.swept(lost(2, 0), lost(2, 0), seconds(3)));
  CHECK(watch.well().time == seconds(3));
  CHECK_FALSE(watch.observe(lost(2, 0), seconds(4)));
}

TEST_CASE("what ended is a gap from the last good look to the sweep's end", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(1));
  CHECK_FALSE(watch.observe({}, seconds(5)));
  CHECK(watch.observe(lost(7, 3), seconds(6)));
  const auto gap = watch.swept(lost(7, 3), lost(7, 3), seconds(8));
  REQUIRE(gap);
  CHECK(gap->from == seconds(5));
  CHECK(gap->until == seconds(8));
  CHECK(gap->cause == GapCause::kLosses);
  CHECK(gap->lost.ended_untold == 3);
  CHECK(gap->lost.lost_starts == 7);
  CHECK_FALSE(watch.swept(lost(7, 3), lost(7, 3), seconds(9)));
}

TEST_CASE("a loss while a sweep goes on waits for the next one", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(1));
  CHECK(watch.observe(lost(1, 1), seconds(2)));
  CHECK_FALSE(watch.swept(lost(1, 1), lost(2, 1), seconds(3)));
  CHECK(watch.is_open());
  CHECK(watch.observe(lost(2, 1), seconds(4)));
  CHECK(watch.swept(lost(2, 1), lost(2, 1), seconds(5)));
}

TEST_CASE("losses without end are told as one gap in a while", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(0));
  std::uint64_t told = 0;
  std::uint64_t gaps = 0;
  for (std::uint64_t second = 1; second <= 60; ++second) {
    const BootTime now = seconds(second);
    CHECK(watch.observe(lost(second, second), now));
    const auto gap = watch.swept(lost(second, second), lost(second + 1, second), now);
    if (!gap) continue;
    ++gaps;
    told += gap->lost.ended_untold;
  }
  const auto last = watch.finish(lost(60, 60), seconds(61));
  CHECK(gaps >= 5);
  CHECK(gaps <= 6);
  CHECK(told + (last ? last->lost.ended_untold : 0) == 60);
}

TEST_CASE("an absence is a gap although nothing was counted", "[agent][unit]") {
  LossWatch watch = watch_from(-seconds(50));
  watch.open(GapCause::kAbsence);
  CHECK(watch.is_open());
  const auto gap = watch.swept({}, {}, seconds(4));
  REQUIRE(gap);
  CHECK(gap->from == -seconds(50));
  CHECK(gap->until == seconds(4));
  CHECK(gap->cause == GapCause::kAbsence);
  CHECK_FALSE(watch.is_open());
  CHECK(watch.well().time == seconds(4));
}

TEST_CASE("what replaced programs had lost is told with their times", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(90));
  watch.inherit(seconds(40), lost(5, 4));
  const auto gap = watch.swept({}, {}, seconds(91));
  REQUIRE(gap);
  CHECK(gap->from == seconds(40));
  CHECK(gap->lost.ended_untold == 4);
  watch.inherit(seconds(91), lost(5, 0));
  CHECK_FALSE(watch.is_open());
}

TEST_CASE("runs that only a sweep can miss count too", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(1));
  watch.count_untold(2);
  CHECK_FALSE(watch.observe({}, seconds(2)));
  CHECK(watch.well().time == seconds(1));
  const auto gap = watch.swept({}, {}, seconds(3));
  REQUIRE(gap);
  CHECK(gap->lost.ended_untold == 2);
}

TEST_CASE("lost execs are a gap of their own", "[agent][unit]") {
  LossWatch watch = watch_from(seconds(1));
  LossCounters counters;
  counters.lost_execs = 9;
  CHECK(watch.observe(counters, seconds(2)));
  const auto gap = watch.swept(counters, counters, seconds(3));
  REQUIRE(gap);
  CHECK(gap->lost.lost_execs == 9);
  CHECK(gap->lost.gone() == 0);
}
