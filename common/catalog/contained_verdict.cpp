// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/contained_verdict.h"

#include <algorithm>

#include "common/base/escape_once.h"
#include "common/catalog/match.h"
#include "common/catalog/reason.h"
#include "common/catalog/standing.h"

namespace assay::catalog {
namespace {

constexpr std::size_t kMaxReasonBytes = 1024;

std::size_t covered_layers(const Verdict& verdict) {
  return verdict.naming() == nullptr ? 0 : verdict.naming()->layers;
}

bool is_bad(VerdictStatus status) {
  return status == VerdictStatus::kRevoked || status == VerdictStatus::kExpired;
}

bool is_known(const Verdict& verdict, const BaseId& base) {
  return std::ranges::any_of(verdict.matches,
                             [&](const BaseMatch& match) { return match.base == base; });
}

std::string with_why(const std::string& reason, const std::string& why) {
  return escape_once(reason + "; " + why, kMaxReasonBytes);
}

/// Revoked before expired, whether it was found by layers or by files.
bool is_worse(VerdictStatus status, const Verdict& verdict) {
  if (status == VerdictStatus::kRevoked) return verdict.status != VerdictStatus::kRevoked;
  return status == VerdictStatus::kExpired && !is_bad(verdict.status);
}

}  // namespace

std::optional<std::size_t> wanted_file_set(const Verdict& verdict, const Stack& stack) {
  if (!stack.unsupported.empty()) return std::nullopt;
  const auto layers = compared_layers(stack);
  const std::size_t covered = covered_layers(verdict);
  if (covered >= layers.size()) return std::nullopt;
  const bool are_known = std::ranges::all_of(
      layers, [](const StackLayer* layer) { return layer->evidence.content.has_value(); });
  if (!are_known) return std::nullopt;
  if (covered == 0) return 0;
  return static_cast<std::size_t>(layers[covered] - stack.layers.data());
}

FileSet with_base_below(const FileSet& files, const Verdict& verdict, const FileSetIndex& index) {
  if (covered_layers(verdict) == 0) return files;
  const auto below = std::ranges::find(index.sets(), verdict.naming()->base, &BaseFileSet::base);
  return below == index.sets().end() ? files : FileSet::over(files, *below->files);
}

void add_containment(Verdict& verdict, const Containment& found, const Catalog& catalog,
                     WallTime now, const ScanSummaries* scans) {
  const std::size_t covered = covered_layers(verdict);
  std::vector<BaseMatch> matches;
  for (const ContainedBase& contained : found.contained) {
    const Base* base = catalog.find(contained.base);
    if (base == nullptr || is_known(verdict, contained.base)) continue;
    const Standing standing = standing_of(*base, catalog.policy(), scans, now);
    const VerdictStatus status =
        counted_status(catalog.policy(), standing.status, Rung::kContained);
    if (covered != 0 && status == VerdictStatus::kApproved) continue;
    matches.push_back({contained.base, status, Rung::kContained, 0, covered});
    if (!is_worse(status, verdict)) continue;
    verdict.status = status;
    verdict.reason = with_why(base_reason(*base, standing, Rung::kContained), contained.why);
  }
  const bool is_unknown = verdict.status == VerdictStatus::kUnknown;
  if (covered == 0 && is_unknown && found.files != 0)
    verdict.reason = with_why(verdict.reason, found.why);
  if (matches.empty()) return;
  if (covered == 0) verdict.rung = Rung::kContained;
  verdict.matches.insert(covered == 0 ? verdict.matches.begin() : verdict.matches.end(),
                         matches.begin(), matches.end());
}

}  // namespace assay::catalog
