// SPDX-License-Identifier: Apache-2.0
#include "collector/core/identity_guard.h"

#include "collector/core/views.h"

namespace assay::collector {
namespace {

constexpr std::chrono::minutes kTellEvery{1};
constexpr std::size_t kMaxNewcomers = 16;  // remembered for each node

}  // namespace

IdentityGuard::IdentityGuard(std::chrono::seconds heartbeat)
    : patience_(heartbeat * kMissedHeartbeats) {}

IdentityGuard::Decision IdentityGuard::decide(const NodeKey& node,
                                              const std::optional<Speaker>& present,
                                              const std::string& newcomer, Time now) {
  const bool is_free =
      !present || present->instance == newcomer || now - present->heard > patience_;
  if (is_free) {
    if (const auto contest = contests_.find(node); contest != contests_.end())
      contest->second.refused.clear();
    return Decision::kAccept;
  }
  Contest& contest = contests_[node];
  if (contest.refused.size() >= kMaxNewcomers && !contest.refused.contains(newcomer))
    contest.refused.clear();
  const Time first = contest.refused.try_emplace(newcomer, now).first->second;
  const bool are_both_alive = present->heard > first;
  if (!are_both_alive || (contest.told && now - *contest.told < kTellEvery))
    return Decision::kRefuse;
  contest.told = now;
  return Decision::kConflict;
}

}  // namespace assay::collector
