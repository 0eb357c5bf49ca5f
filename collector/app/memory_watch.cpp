// SPDX-License-Identifier: Apache-2.0
#include "collector/app/memory_watch.h"

#include <malloc.h>

#include "common/service/process_stats.h"

namespace assay::collector {
namespace {

constexpr std::chrono::milliseconds kLookEvery{100};
constexpr std::chrono::seconds kTrimEvery{2};  // it walks all heaps

}  // namespace

bool MemoryWatch::is_short() {
  const MutexLock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < kLookEvery) return is_short_;
  looked_ = now;
  const std::uint64_t short_at = limit_bytes_ / 10 * 9;
  is_short_ = resident_() > short_at;
  if (!is_short_ || now - trimmed_ < kTrimEvery) return is_short_;
  trimmed_ = now;
  ::malloc_trim(0);  // what is freed, but kept between what is in use
  is_short_ = resident_() > short_at;
  return is_short_;
}

std::uint64_t resident_bytes() {
  const auto stats = service::read_process_stats();
  return stats ? stats->rss_bytes : 0;
}

}  // namespace assay::collector
