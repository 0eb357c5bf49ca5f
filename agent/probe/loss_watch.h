// SPDX-License-Identifier: Apache-2.0
// Watches the loss counters: when a sweep has to repair, and what remains as a gap.
#pragma once

#include <optional>

#include "agent/core/events.h"
#include "agent/probe/probe_control.h"
#include "common/base/clock.h"

namespace assay::agent {

/// Pure; not thread-safe. A gap lasts from the last time all was well until the end of the sweep
/// that repaired what still ran. Under losses that go on, gaps are joined: at most one in
/// `min_pause`.
class LossWatch {
 public:
  LossWatch(WellPoint well, std::chrono::milliseconds min_pause)
      : well_(well), seen_(well.counters), min_pause_(min_pause) {}

  /// Something is missing since well(), whatever the counters say.
  void open(GapCause cause) { cause_ = cause; }
  /// What an earlier agent's programs lost since `from`; they are gone.
  void inherit(BootTime from, const LossCounters& lost);
  /// A run that ended before it was told, as only user space can tell.
  void count_untold(std::uint64_t runs) { untold_ += runs; }

  /// Looks at the counters as they are at `now`. True when a sweep is needed.
  bool observe(const LossCounters& counters, BootTime now);
  /// A sweep began with `before` and ended at `completed` with `after`. Gives the gap, if one is
  /// to be told now.
  std::optional<ObservationGap> swept(const LossCounters& before, const LossCounters& after,
                                      BootTime completed);

  /// The gap that is still to be told, when nothing is watched any more.
  std::optional<ObservationGap> finish(const LossCounters& counters, BootTime now);

  /// Until when nothing is missing in what was told.
  const WellPoint& well() const { return well_; }
  /// Whether a gap since well() is still to be told.
  bool is_open() const { return cause_.has_value(); }

 private:
  LossCounters lost_until(const LossCounters& counters) const;
  void be_well(const LossCounters& counters, BootTime now);

  WellPoint well_;
  LossCounters seen_;  ///< as they stood when a sweep last began or all was well
  LossCounters inherited_;
  std::uint64_t untold_ = 0;
  std::optional<GapCause> cause_;
  std::optional<BootTime> last_told_;
  const std::chrono::milliseconds min_pause_;
};

}  // namespace assay::agent
