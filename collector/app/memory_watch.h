// SPDX-License-Identifier: Apache-2.0
// Whether this process holds as much memory as it may.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

#include "common/base/mutex.h"

namespace assay::collector {

/// Looks at the resident memory at most every 50 ms. Thread-safe.
class MemoryWatch {
 public:
  /// `limit_bytes`: what must not be exceeded; short is what is over nine tenths of it.
  /// `resident`: resident bytes of the process, 0 when they cannot be told.
  MemoryWatch(std::uint64_t limit_bytes, std::function<std::uint64_t()> resident)
      : limit_bytes_(limit_bytes), resident_(std::move(resident)) {}

  bool is_short();
  /// Over three quarters of it: time to let go of what nobody needs.
  bool is_tight();

 private:
  std::uint64_t look() ASSAY_REQUIRES(mutex_);

  const std::uint64_t limit_bytes_;
  const std::function<std::uint64_t()> resident_;
  Mutex mutex_;
  std::uint64_t seen_ ASSAY_GUARDED_BY(mutex_) = 0;  // when it was looked last
  std::chrono::steady_clock::time_point looked_ ASSAY_GUARDED_BY(mutex_){};
  std::chrono::steady_clock::time_point trimmed_ ASSAY_GUARDED_BY(mutex_){};
};

/// Of this process, from /proc.
std::uint64_t resident_bytes();

}  // namespace assay::collector
