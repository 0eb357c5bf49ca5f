// SPDX-License-Identifier: Apache-2.0
// The time that dates in the catalog are compared with: a clock that is set back revives no base
// and makes no stale catalog fresh again.
#pragma once

#include <optional>

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// The wall clock, but never earlier than a floor. The floor follows the clock as far as it was
/// consistent with the time since boot for ten minutes: a jump ahead that is taken back does not
/// raise it. Thread-safe. `clock` outlives it.
class TimeFloor final : public Clock {
 public:
  /// `floor`: of an earlier life, nothing when there was none.
  TimeFloor(const Clock& clock, std::optional<WallTime> floor);

  WallTime wall_now() const override;
  BootTime boot_now() const override { return clock_.boot_now(); }

  /// Looks at the clock; about once a second. The floor as it is now.
  WallTime observe();
  /// It is at least `time`: somebody trusted has signed that.
  void raise(WallTime time);

 private:
  const Clock& clock_;
  const BootTime began_;
  mutable Mutex mutex_;
  WallTime floor_ ASSAY_GUARDED_BY(mutex_){};
  WallTime boot_at_ ASSAY_GUARDED_BY(mutex_){};  // the earliest that boot time 0 was said to be
};

}  // namespace assay::agent
