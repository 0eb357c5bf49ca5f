// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/noise_watch.h"

#include <catch2/catch.hpp>

using namespace assay;
using namespace assay::agent;
using std::chrono::seconds;

namespace {

NoiseSeen seen(std::uint64_t inode, BootTime time) {
  NoiseSeen noise;
  noise.key.root.inode = inode;
  noise.time = time;
  noise.dropped = 1;
  noise.limit = 200;
  return noise;
}

NoiseWatch::ReadDropped always(std::uint64_t dropped) {
  return [dropped](const RunKey&, Budget) { return std::optional(dropped); };
}

}  // namespace

TEST_CASE("a noisy run is told at once, and again when it doubled", "[agent][unit]") {
  NoiseWatch watch(seconds(60));
  REQUIRE(watch.on_seen(seen(7, seconds(10))));
  CHECK_FALSE(watch.on_seen(seen(7, seconds(11))));
  REQUIRE(watch.watch(seconds(12), always(2)).size() == 1);
  CHECK(watch.watch(seconds(13), always(3)).empty());
  const auto more = watch.watch(seconds(14), always(100));
  REQUIRE(more.size() == 1);
  CHECK(more[0].dropped == 100);
  CHECK(more[0].since == seconds(10));
  CHECK(more[0].time == seconds(14));
  CHECK_FALSE(more[0].is_over);
}

TEST_CASE("a run that goes on slowly is told once a minute", "[agent][unit]") {
  NoiseWatch watch(seconds(300));
  (void)watch.on_seen(seen(7, seconds(0)));
  CHECK(watch.watch(seconds(1), always(1000)).size() == 1);
  int told = 0;
  for (std::uint64_t i = 1; i <= 120; ++i)
    told += static_cast<int>(watch.watch(seconds(1 + i), always(1000 + i)).size());
  CHECK(told == 2);
}

TEST_CASE("a run that has been quiet for long enough is over, with its last number",
          "[agent][unit]") {
  NoiseWatch watch(seconds(60));
  (void)watch.on_seen(seen(7, seconds(10)));
  (void)watch.watch(seconds(11), always(5));
  CHECK(watch.watch(seconds(70), always(5)).empty());
  const auto over = watch.watch(seconds(71), always(5));
  REQUIRE(over.size() == 1);
  CHECK(over[0].is_over);
  CHECK(over[0].dropped == 5);
  CHECK(over[0].time == seconds(11));
  CHECK(watch.watch(seconds(200), always(5)).empty());
  CHECK(watch.on_seen(seen(7, seconds(300))));  // and may become noisy again
}

TEST_CASE("a run that ended is followed no more", "[agent][unit]") {
  NoiseWatch watch(seconds(60));
  (void)watch.on_seen(seen(7, seconds(10)));
  const auto gone = [](const RunKey&, Budget) { return std::optional<std::uint64_t>(); };
  CHECK(watch.watch(seconds(11), gone).empty());
  CHECK(watch.on_seen(seen(7, seconds(12))));
}

TEST_CASE("more noisy runs than can be followed are still told", "[agent][unit]") {
  NoiseWatch watch(seconds(60));
  for (std::uint64_t i = 0; i < NoiseWatch::kMaxFollowed + 10; ++i)
    CHECK(watch.on_seen(seen(i, seconds(1))));
}
