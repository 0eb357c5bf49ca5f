// SPDX-License-Identifier: Apache-2.0
#include "collector/core/denied_tries.h"

#include <algorithm>

#include "collector/core/call_rates.h"

namespace assay::collector {
namespace {

constexpr double kBurst = 20;  // of one kind
constexpr double kPerSecond = 0.1;
constexpr double kBurstOfAll = 1000;
constexpr double kPerSecondOfAll = 10;
constexpr std::size_t kMaxKinds = 1024;
constexpr std::chrono::minutes kTellEvery{1};
constexpr std::chrono::minutes kRemember{10};  // longer than a bucket takes to fill

}  // namespace

bool DeniedTries::Bucket::take(Time now, double burst, double per_second) {
  const std::chrono::duration<double> passed = now - filled;
  tokens = filled == Time{} ? burst : std::min(burst, tokens + passed.count() * per_second);
  filled = now;
  if (tokens < 1) return false;
  tokens -= 1;
  return true;
}

std::optional<AuditEntry> DeniedTries::admit(AuditEntry entry, Time now) {
  std::string key = entry.actor + '\n' + entry.action + '\n' + host_of_peer(entry.peer);
  // Too many kinds at once share one count.
  if (kinds_.size() >= kMaxKinds && !kinds_.contains(key)) key.clear();
  Kind& kind = kinds_[key];
  if (kind.told == Time{}) kind.told = now;
  if (kind.bucket.take(now, kBurst, kPerSecond) && all_.take(now, kBurstOfAll, kPerSecondOfAll)) {
    kind.last = entry;
    return entry;
  }
  kind.last = std::move(entry);
  ++kind.held_back;
  return std::nullopt;
}

std::vector<AuditEntry> DeniedTries::due(Time now, std::int64_t now_ns, bool is_last) {
  std::vector<AuditEntry> entries;
  for (auto& [key, kind] : kinds_) {
    if (kind.held_back == 0 || (!is_last && now - kind.told < kTellEvery)) continue;
    AuditEntry entry = kind.last;
    entry.time_ns = now_ns;
    entry.detail =
        std::to_string(kind.held_back) +
        (key.empty() ? " more tries of many kinds; the last: " : " more like it; the last: ") +
        entry.detail;
    entries.push_back(std::move(entry));
    kind.held_back = 0;
    kind.told = now;
  }
  std::erase_if(kinds_, [&](const auto& one) {
    return one.second.held_back == 0 && now - one.second.bucket.filled > kRemember;
  });
  return entries;
}

}  // namespace assay::collector
