// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/standing.h"

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::catalog {
namespace {

std::string age_text(std::chrono::seconds age) {
  const auto count = [](auto value, const char* unit) {
    return std::to_string(value) + " " + unit + (value == 1 ? "" : "s");
  };
  if (age % std::chrono::days(1) == std::chrono::seconds(0))
    return count(age / std::chrono::days(1), "day");
  if (age % std::chrono::hours(1) == std::chrono::seconds(0))
    return count(age / std::chrono::hours(1), "hour");
  return count(age.count(), "second");
}

const ScanSummary* scan_of(const Base& base, const ScanSummaries& scans) {
  const auto found = scans.find(base.id);
  return found == scans.end() ? nullptr : &found->second;
}

/// A moment from which an approval is good for a time.
struct Freshness {
  WallTime from{};
  std::chrono::seconds length{};
  const char* what = "";
  /// A date that no calendar holds is no reason to wrap around.
  WallTime end() const { return from > WallTime::max() - length ? WallTime::max() : from + length; }
};

std::vector<Freshness> freshness_of(const Base& base, const Policy& policy,
                                    const ScanSummaries* scans) {
  std::vector<Freshness> rules;
  const WallTime approved = base.approved_at.value_or(base.changed_at);
  if (policy.since_build && base.built_at)
    rules.push_back({*base.built_at, *policy.since_build, "it was built on "});
  else if (policy.since_build)
    rules.push_back(
        {approved, *policy.since_build, "it is not known when it was built; it was approved on "});
  if (!policy.since_scan || scans == nullptr) return rules;
  if (const ScanSummary* scan = scan_of(base, *scans))
    rules.push_back({scan->scanned_at, *policy.since_scan, "its last scan is of "});
  else
    rules.push_back({approved, *policy.since_scan, "it was never scanned; it was approved on "});
  return rules;
}

std::string severity_text(const SeverityCounts& counts, const SeverityLimits& limits) {
  struct Row {
    const char* word;
    std::uint64_t count;
    std::optional<std::uint64_t> limit;
  };
  std::string text;
  for (const Row& row :
       {Row{"CRITICAL", counts.critical, limits.critical}, Row{"HIGH", counts.high, limits.high},
        Row{"MEDIUM", counts.medium, limits.medium}, Row{"LOW", counts.low, limits.low},
        Row{"UNKNOWN", counts.unknown, limits.unknown}}) {
    if (!row.limit || row.count <= *row.limit) continue;
    text += (text.empty() ? "" : ", ") + std::to_string(row.count) + " " + row.word + " (at most " +
            std::to_string(*row.limit) + ")";
  }
  return text;
}

/// Why what is known of its scans ends the approval now; "" when nothing does.
std::string scan_objection(const Base& base, const Policy& policy, const ScanSummaries& scans) {
  const ScanSummary* scan = scan_of(base, scans);
  if (scan == nullptr)
    return policy.requires_scan ? "no scan of it is known, and the policy wants one" : "";
  const std::string too_many = severity_text(scan->counts, policy.severity_limits);
  if (too_many.empty()) return "";
  return "its last scan (" + escape_untrusted(scan->tool, 40) + ", " +
         to_rfc3339(scan->scanned_at, 0) + ") shows more than the policy takes: " + too_many;
}

}  // namespace

bool Policy::has_scan_rules() const {
  return since_scan || requires_scan || severity_limits != SeverityLimits{};
}

Standing standing_of(const Base& base, const Policy& policy, const ScanSummaries* scans,
                     WallTime now) {
  const VerdictStatus own = status_at(base, now);
  if (own != VerdictStatus::kApproved) return {own};
  for (const Freshness& rule : freshness_of(base, policy, scans))
    if (rule.end() <= now)
      return {VerdictStatus::kExpired, rule.what + to_rfc3339(rule.from, 0) +
                                           ", and the policy lets an approval stand for " +
                                           age_text(rule.length) + " from then on"};
  if (scans != nullptr)
    if (std::string why = scan_objection(base, policy, *scans); !why.empty())
      return {VerdictStatus::kExpired, std::move(why)};
  return {own};
}

Rung rung_for(const Policy& policy, VerdictStatus status) {
  switch (status) {
    case VerdictStatus::kApproved:
      return std::max(policy.required_rung, kLowestApprovingRung);
    case VerdictStatus::kDeprecated:
      return policy.deprecated_rung;
    case VerdictStatus::kExpired:
      return policy.expired_rung;
    case VerdictStatus::kRevoked:
      return policy.revoked_rung;
    default:
      return Rung::kNone;
  }
}

VerdictStatus counted_status(const Policy& policy, VerdictStatus status, Rung rung) {
  const bool is_weak = status != VerdictStatus::kApproved && rung < rung_for(policy, status);
  return is_weak ? VerdictStatus::kPending : status;
}

std::optional<WallTime> next_rule_after(const Base& base, const Policy& policy,
                                        const ScanSummaries* scans, WallTime now) {
  std::optional<WallTime> earliest;
  if (base.status != BaseStatus::kApproved) return earliest;
  for (const Freshness& rule : freshness_of(base, policy, scans))
    if (rule.end() > now && (!earliest || rule.end() < *earliest)) earliest = rule.end();
  return earliest;
}

}  // namespace assay::catalog
