// SPDX-License-Identifier: Apache-2.0
#include "common/base/pacer.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>

namespace assay {

void Pacer::wait_for_turn(const std::stop_token& stop) const {
  std::mutex mutex;  // of this wait alone: only the stop token wakes it
  std::condition_variable_any stopped;
  std::unique_lock lock(mutex);
  stopped.wait_until(lock, stop, allowed_, [] { return false; });
}

Pacer::Timer::~Timer() {
  const auto now = std::chrono::steady_clock::now();
  const auto cost = now - began_;
  if (cost < kCheap) return;
  pacer_.allowed_ = now + std::min<std::chrono::steady_clock::duration>(cost * kShare, kLongest);
}

}  // namespace assay
