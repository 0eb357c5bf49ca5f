// SPDX-License-Identifier: Apache-2.0
#include "collector/core/intake_budget.h"

#include <algorithm>

namespace assay::collector {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLeastDelay{1000};
constexpr milliseconds kMostDelay{30'000};
constexpr std::chrono::seconds kRatePeriod{1};
constexpr double kRateWeight = 0.3;  // of the newest period

}  // namespace

bool IntakeBudget::has_room(std::size_t own, std::size_t bytes) const {
  if (held_ == 0) return true;  // or a message over the limit could never be taken
  if (held_ + bytes > options_.max_bytes) return false;
  const std::size_t half = options_.max_bytes / 2;
  if (held_ + bytes <= half) return true;
  const std::size_t holders = by_node_.size() + (own == 0 ? 1 : 0);
  return own == 0 || own + bytes <= half / holders;
}

Result<void> IntakeBudget::admit(const NodeKey& node, std::size_t bytes) {
  const bool is_memory_short = options_.is_memory_short && options_.is_memory_short();
  const MutexLock lock(mutex_);
  const auto found = by_node_.find(node);
  const std::size_t own = found == by_node_.end() ? 0 : found->second;
  if ((is_memory_short && held_ > 0) || !has_room(own, bytes))
    return Error{ErrorCode::kLimitExceeded, "the collector is at its limit: try again later"};
  held_ += bytes;
  by_node_[node] = own + bytes;
  return ok();
}

void IntakeBudget::release(const NodeKey& node, std::size_t bytes,
                           std::chrono::steady_clock::time_point now, bool was_committed) {
  const MutexLock lock(mutex_);
  const auto found = by_node_.find(node);
  ASSAY_ASSERT(found != by_node_.end() && found->second >= bytes && held_ >= bytes);
  held_ -= bytes;
  if ((found->second -= bytes) == 0) by_node_.erase(found);
  if (was_committed) freed_ += bytes;
  const std::chrono::duration<double> passed = now - rated_;
  if (passed < kRatePeriod) return;
  const double newest = static_cast<double>(freed_) / passed.count();
  bytes_per_second_ += kRateWeight * (newest - bytes_per_second_);
  freed_ = 0;
  rated_ = now;
}

void IntakeBudget::set_max_bytes(std::size_t max_bytes) {
  const MutexLock lock(mutex_);
  options_.max_bytes = max_bytes;
}

std::size_t IntakeBudget::held() const {
  const MutexLock lock(mutex_);
  return held_;
}

milliseconds IntakeBudget::retry_after() const {
  const MutexLock lock(mutex_);
  if (bytes_per_second_ < 1) return kLeastDelay * 5;
  const double seconds = static_cast<double>(held_) / bytes_per_second_;
  return std::clamp(milliseconds(static_cast<std::int64_t>(std::min(seconds, 60.0) * 1000)),
                    kLeastDelay, kMostDelay);
}

}  // namespace assay::collector
