// SPDX-License-Identifier: Apache-2.0
// What this process costs: memory and CPU time.
#pragma once

#include <chrono>
#include <cstdint>

#include "common/base/result.h"

namespace assay::service {

struct ProcessStats {
  std::uint64_t rss_bytes = 0;
  std::chrono::nanoseconds cpu_time{};  ///< user and system, all threads
};

/// Of the calling process. Thread-safe. Errors: kUnavailable (no /proc), kCorrupt.
Result<ProcessStats> read_process_stats();

}  // namespace assay::service
