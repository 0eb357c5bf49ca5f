// SPDX-License-Identifier: Apache-2.0
// How long what is over is kept, by kind.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "collector/core/store.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::collector {

/// From when something is over. 0: for good.
struct Retention {
  std::chrono::seconds runs{std::chrono::days(90)};       ///< from their end
  std::chrono::seconds execs{std::chrono::days(30)};      ///< from when they were seen
  std::chrono::seconds findings{std::chrono::days(365)};  ///< from when they were resolved
  std::chrono::seconds scans{std::chrono::days(365)};     ///< from their import
  std::chrono::seconds audit{std::chrono::days(365)};     ///< from when they were written
};

/// Removes what is over, a little at a time, so that commits of agents wait for milliseconds only.
/// Nothing that still runs, is open or is the newest of its kind is ever removed, whatever its age.
/// Not thread-safe but for set_retention() and removed(): of the commit thread.
class Retainer {
 public:
  explicit Retainer(const Retention& retention) : retention_(retention) {}

  void set_retention(const Retention& retention);
  /// Whether it is time for a step: once an hour a round begins, and a round takes several steps.
  /// The first one begins an hour after the first call: by then a wrong clock was set right.
  bool is_due(BootTime now);
  /// Removes at most `max_rows` of one kind. True: runs went, and stacks with them.
  Result<bool> step(StoreWriter& store, WallTime wall, BootTime now, int max_rows);
  /// The last step was undone: what is left waits for the next round.
  void end_round() { cursor_.reset(); }

  /// Rows since the start.
  std::uint64_t removed(Aged kind) const { return removed_[static_cast<std::size_t>(kind)]; }

 private:
  std::chrono::seconds age_of(Aged kind) const;

  mutable Mutex mutex_;
  Retention retention_ ASSAY_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> removed_[kAgedKinds.size()] = {};

  std::optional<BootTime> next_round_;
  std::size_t kind_ = 0;              // of kAgedKinds, while a round goes on
  std::optional<AgedCursor> cursor_;  // a round goes on
};

}  // namespace assay::collector
