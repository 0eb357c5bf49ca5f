// SPDX-License-Identifier: Apache-2.0
#include "agent/core/time_floor.h"

#include <algorithm>

namespace assay::agent {
namespace {

// Long enough for NTP to correct a clock that was wrong at boot.
constexpr std::chrono::minutes kSettling{10};

}  // namespace

TimeFloor::TimeFloor(const Clock& clock, std::optional<WallTime> floor)
    : clock_(clock),
      began_(clock.boot_now()),
      floor_(floor.value_or(WallTime{})),
      boot_at_(clock.wall_now() - began_) {}

WallTime TimeFloor::wall_now() const {
  const WallTime now = clock_.wall_now();
  const MutexLock lock(mutex_);
  return std::max(now, floor_);
}

WallTime TimeFloor::observe() {
  const BootTime boot = clock_.boot_now();
  const WallTime wall = clock_.wall_now();
  const MutexLock lock(mutex_);
  boot_at_ = std::min(boot_at_, wall - boot);
  if (boot - began_ >= kSettling) floor_ = std::max(floor_, boot_at_ + boot);
  return floor_;
}

void TimeFloor::raise(WallTime time) {
  const MutexLock lock(mutex_);
  floor_ = std::max(floor_, time);
}

}  // namespace assay::agent
