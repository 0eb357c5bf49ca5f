// SPDX-License-Identifier: Apache-2.0
// Does something now and then on a thread of its own. Private to collector/app.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace assay::collector {

/// `work` runs every `interval`, the first time after one; never twice at a time.
class Upkeep {
 public:
  Upkeep(std::chrono::milliseconds interval, std::function<void()> work)
      : thread_([this, interval, work = std::move(work)](const std::stop_token& stop) {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, stop, interval, [&] { return stop.stop_requested(); }))
            work();
        }) {}

 private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::jthread thread_;
};

}  // namespace assay::collector
