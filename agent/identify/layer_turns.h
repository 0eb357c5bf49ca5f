// SPDX-License-Identifier: Apache-2.0
// Of several threads one at a time reads a directory and changes what is kept of it.
#pragma once

#include <condition_variable>
#include <mutex>
#include <set>
#include <stop_token>

#include "agent/core/ports.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Thread-safe. Outlives its turns.
class LayerTurns {
 public:
  class Turn {
   public:
    /// Waits until nobody else has `ref`, at most until `stop`.
    Turn(LayerTurns& turns, const LayerRef& ref, const std::stop_token& stop)
        : turns_(turns), ref_(ref), has_it_(turns.take(ref, stop)) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() {
      if (has_it_) turns_.give_back(ref_);
    }
    /// False: a stop was asked for first.
    bool has_it() const { return has_it_; }

   private:
    LayerTurns& turns_;
    const LayerRef ref_;
    const bool has_it_;
  };

 private:
  bool take(const LayerRef& ref, const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    return free_.wait(lock, stop, [&] { return !busy_.contains(ref); }) && busy_.insert(ref).second;
  }
  void give_back(const LayerRef& ref) {
    {
      const MutexLock lock(mutex_);
      busy_.erase(ref);
    }
    free_.notify_all();
  }

  Mutex mutex_;
  std::condition_variable_any free_;
  std::set<LayerRef> busy_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::agent
