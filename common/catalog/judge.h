// SPDX-License-Identifier: Apache-2.0
// The one place where stacks become verdicts. Agent, collector and CLI all call it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/catalog/base_image.h"
#include "common/catalog/evidence.h"
#include "common/catalog/scan_summary.h"
#include "common/catalog/view.h"

namespace assay::catalog {

class Catalog;

enum class VerdictStatus { kApproved, kDeprecated, kRevoked, kExpired, kUnknown, kPending };
std::string_view to_string(VerdictStatus status);
/// Errors: kInvalidArgument.
Result<VerdictStatus> parse_verdict_status(std::string_view text);

/// Status of `base` by its own dates at `now`; a date counts from its very moment on. What the
/// policy adds: standing.h.
VerdictStatus status_at(const Base& base, WallTime now);

/// One base that is a prefix of the stack, or bad news that lies in the layers above it.
struct BaseMatch {
  BaseId base;
  /// Of the base itself at the time of judging; kPending: it is bad news, and the policy wants it
  /// on a higher rung.
  VerdictStatus status = VerdictStatus::kUnknown;
  Rung rung = Rung::kNone;      ///< the weakest rung among the compared layers
  std::size_t layers = 0;       ///< how many layers the base covers
  std::size_t first_layer = 0;  ///< 0 for a prefix; else where in the compared layers it begins
  auto operator<=>(const BaseMatch&) const = default;
};

struct Verdict {
  VerdictStatus status = VerdictStatus::kPending;
  Rung rung = Rung::kNone;  ///< of the match that names the run; kNone when nothing matches
  /// Prefixes, longest first (ties: revoked, expired, approved, deprecated; then the higher rung);
  /// the first prefix names the run. After them, what was found in the layers above.
  std::vector<BaseMatch> matches;
  std::string reason;  ///< one sentence for people, already free of control characters
  /// A higher rung contradicted a lower one (same shape, other bytes): finding `mismatch`.
  std::vector<std::string> contradictions;
  std::size_t application_layers =
      0;  ///< layers above the base that names the run, injected ones not counted
  std::uint64_t catalog_sequence = 0;
  auto operator<=>(const Verdict&) const = default;

  /// The match that names the run; nothing when no base is a prefix.
  const BaseMatch* naming() const {
    return matches.empty() || matches.front().first_layer != 0 ? nullptr : &matches.front();
  }
  /// NAME:VERSION of the base that names the run, "" when there is none.
  std::string base_name() const { return naming() == nullptr ? "" : naming()->base.text(); }
};

/// Judges `stack` by `catalog` at `now`. Pure; thread-safe on an unchanging catalog.
///
/// Every base one of whose stacks is a prefix of `stack` (injected layers left out) is reported. A
/// revoked or expired base anywhere below wins over an approved one above it. Below the policy's
/// rung an approving answer is kPending; bad news counts on any rung. Nothing matched while some
/// layer's shape is still to come is kPending; nothing matched with all shapes known is kUnknown.
/// Layers above the base that names the run are compared with revoked, expired and deprecated bases
/// as well. Bad news below the rung that the policy wants for it makes an approving answer
/// kPending, and so do a layer that was tampered with and a run that hides its base from itself.
/// `scans`: what a collector knows of the bases' scans; null elsewhere: then the policy's rules on
/// scans are not judged, and the answer may be better than the collector's, never worse.
Verdict judge(const Stack& stack, const Catalog& catalog, WallTime now,
              const ScanSummaries* scans = nullptr);

/// The closed list of finding kinds (docs/architecture.md "Words").
enum class FindingKind {
  kUnknownBase,
  kDeprecatedBase,
  kRevokedBase,
  kExpiredBase,
  kUnverified,
  kMismatch,
  kTampered,
  kMaskedBase,
  kForeignExecutable,
  kRogue,
  kIdentityConflict,
  kUnsupportedRoot,
  kPosture,
  kNoisy,
  kEvidenceGap,
  kCatalogRefused,
};
std::string_view to_string(FindingKind kind);
/// Errors: kInvalidArgument.
Result<FindingKind> parse_finding_kind(std::string_view text);

/// A reason to have a finding of `kind` open.
struct FindingCause {
  FindingKind kind = FindingKind::kUnknownBase;
  std::string subject;  ///< what distinguishes two findings of one kind on one run: base name,
                        ///< layer; may be ""
  std::string reason;   ///< one sentence for people
  auto operator<=>(const FindingCause&) const = default;
};

/// The findings that `verdict` on `stack` calls for. `is_overdue`: the pending deadline passed or
/// the run ended, so a pending verdict becomes `unverified`. Pure.
std::vector<FindingCause> causes_of(const Verdict& verdict, const Stack& stack, bool is_overdue);
/// The findings `mismatch` for what the records of a run's runtime and the kernel disagree on. Each
/// text is "SUBJECT: REASON", as the agent tells it; those of one subject become one finding. Pure.
std::vector<FindingCause> causes_of_conflicts(const std::vector<std::string>& conflicts);
/// The finding `masked-base` for what a run sees in place of its base's files; none when no base
/// names the run. `masked`: masked_reason() of its view, "" when nothing is. Pure.
std::vector<FindingCause> causes_of_masking(const std::string& masked, const Verdict& verdict);

}  // namespace assay::catalog
