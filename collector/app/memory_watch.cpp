// SPDX-License-Identifier: Apache-2.0
#include "collector/app/memory_watch.h"

#include <malloc.h>

#include "common/service/process_stats.h"

namespace assay::collector {
namespace {

constexpr std::chrono::milliseconds kLookEvery{50};
constexpr std::chrono::milliseconds kTrimEvery{1000};  // it walks all heaps

}  // namespace

bool MemoryWatch::is_short() {
  const MutexLock lock(mutex_);
  return look() > limit_bytes_ / 10 * 9;
}

bool MemoryWatch::is_tight() {
  const MutexLock lock(mutex_);
  return look() > limit_bytes_ / 4 * 3;
}

std::uint64_t MemoryWatch::look() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < kLookEvery) return seen_;
  looked_ = now;
  seen_ = resident_();
  if (seen_ <= limit_bytes_ / 4 * 3 || now - trimmed_ < kTrimEvery) return seen_;
  trimmed_ = now;
  ::malloc_trim(0);  // what is freed, but kept between what is in use
  return seen_ = resident_();
}

std::uint64_t resident_bytes() {
  const auto stats = service::read_process_stats();
  return stats ? stats->rss_bytes : 0;
}

}  // namespace assay::collector
