// SPDX-License-Identifier: Apache-2.0
// What background work may take of the node: bytes a second and a share of a core.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <stop_token>

#include "common/base/mutex.h"
#include "common/image/directory.h"

namespace assay::agent {

struct BackgroundLimits {
  std::uint64_t bytes_per_second = 0;  ///< read from disk or cache; 0: any number
  unsigned int cpu_percent = 0;        ///< of one core; 0: all there is
  bool operator==(const BackgroundLimits&) const = default;
};

/// One for all threads that do background work: work is done first and waited for after, so that a
/// thread that has to wait holds no lock but its own. Thread-safe.
class BackgroundBudget {
 public:
  explicit BackgroundBudget(const BackgroundLimits& limits);

  /// Who waits by the old limits goes on at once.
  void set_limits(const BackgroundLimits& limits);
  /// Takes `bytes` read and `cpu` spent, and waits until that and all that others took is paid
  /// for; at most until `stop` is asked for.
  void spend(std::uint64_t bytes, std::chrono::nanoseconds cpu, const std::stop_token& stop);
  /// For image::WalkOptions::progress of one walk on the calling thread. `stop`: the walk's.
  std::function<void(const image::WalkProgress&)> meter(std::stop_token stop);

 private:
  using Time = std::chrono::steady_clock::time_point;

  /// Up to when what was taken is paid for; nothing taken for a while is no credit beyond kCredit.
  static void charge(Time& paid_until, std::chrono::nanoseconds price, Time now);

  Mutex mutex_;
  std::condition_variable_any changed_;
  BackgroundLimits limits_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t version_ ASSAY_GUARDED_BY(mutex_) = 0;  // of the limits
  Time bytes_paid_until_ ASSAY_GUARDED_BY(mutex_){};
  Time cpu_paid_until_ ASSAY_GUARDED_BY(mutex_){};
};

/// Makes a walk one that the node does not notice: it spares the page cache and, where there is a
/// budget, keeps to it; what `options` have for progress is still told. For each walk anew, on its
/// thread.
void be_background(image::WalkOptions& options, BackgroundBudget* budget, std::stop_token stop);

}  // namespace assay::agent
