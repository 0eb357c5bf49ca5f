// SPDX-License-Identifier: Apache-2.0
// How many bytes of events may be in the collector's memory, of all agents and of each.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>

#include "collector/core/events.h"
#include "common/base/mutex.h"
#include "common/base/result.h"

namespace assay::collector {

struct IntakeBudgetOptions {
  std::size_t max_bytes = 64ULL << 20;  ///< of all agents, read and not committed yet
  /// Says that the process holds as much memory as it may: then only so much is admitted that work
  /// goes on. Called often, from any thread; must be quick. Empty: never.
  std::function<bool()> is_memory_short;
};

/// Every message is admitted before it is queued and released after its commit. While less than
/// half is taken every agent may take what it wants; above that each has a fair share, so that a
/// few loud ones cannot shut the others out. Thread-safe.
class IntakeBudget {
 public:
  explicit IntakeBudget(IntakeBudgetOptions options) : options_(std::move(options)) {}

  /// Errors: kLimitExceeded, with retry_after() as the time to stay away.
  Result<void> admit(const NodeKey& node, std::size_t bytes);
  /// `was_committed`: it counts for the rate at which room is made.
  void release(const NodeKey& node, std::size_t bytes, std::chrono::steady_clock::time_point now,
               bool was_committed);

  /// For what is admitted from now on.
  void set_max_bytes(std::size_t max_bytes);
  std::size_t held() const;
  /// When the room that is taken now should be free, between 1 s and 30 s.
  std::chrono::milliseconds retry_after() const;

 private:
  bool has_room(std::size_t own, std::size_t bytes) const ASSAY_REQUIRES(mutex_);

  mutable Mutex mutex_;
  IntakeBudgetOptions options_;  // max_bytes is guarded by mutex_
  std::size_t held_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::map<NodeKey, std::size_t> by_node_ ASSAY_GUARDED_BY(mutex_);  // no zeros
  double bytes_per_second_ ASSAY_GUARDED_BY(mutex_) = 0;             // committed, lately
  std::size_t freed_ ASSAY_GUARDED_BY(mutex_) = 0;                   // committed since rated_
  std::chrono::steady_clock::time_point rated_ ASSAY_GUARDED_BY(mutex_){};
};

}  // namespace assay::collector
