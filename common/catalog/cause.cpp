// SPDX-License-Identifier: Apache-2.0
// From verdicts to the findings that they call for.
#include <algorithm>

#include "common/base/escape_once.h"
#include "common/catalog/judge.h"
#include "common/catalog/match.h"
#include "common/catalog/names.h"
#include "common/catalog/reason.h"
#include "common/catalog/recognition.h"

namespace assay::catalog {
namespace {

constexpr Names<FindingKind, 16> kKinds{{{FindingKind::kUnknownBase, "unknown-base"},
                                         {FindingKind::kDeprecatedBase, "deprecated-base"},
                                         {FindingKind::kRevokedBase, "revoked-base"},
                                         {FindingKind::kExpiredBase, "expired-base"},
                                         {FindingKind::kUnverified, "unverified"},
                                         {FindingKind::kMismatch, "mismatch"},
                                         {FindingKind::kTampered, "tampered"},
                                         {FindingKind::kMaskedBase, "masked-base"},
                                         {FindingKind::kForeignExecutable, "foreign-executable"},
                                         {FindingKind::kRogue, "rogue"},
                                         {FindingKind::kIdentityConflict, "identity-conflict"},
                                         {FindingKind::kUnsupportedRoot, "unsupported-root"},
                                         {FindingKind::kPosture, "posture"},
                                         {FindingKind::kNoisy, "noisy"},
                                         {FindingKind::kEvidenceGap, "evidence-gap"},
                                         {FindingKind::kCatalogRefused, "catalog-refused"}}};

constexpr std::size_t kMaxConflictBytes = 1024;
constexpr std::size_t kMaxGapBytes = 200;

std::string where_text(const BaseMatch& match, const Verdict& verdict) {
  if (match.first_layer != 0)
    return ", found in the layers from " + std::to_string(match.first_layer + 1) + " on";
  if (&match == verdict.naming()) return "";
  return ", below base " + escape_untrusted(verdict.base_name(), 300);
}

/// The verdict's own reason speaks of the first match that has its status.
std::string match_reason(const BaseMatch& match, const Verdict& verdict) {
  const auto deciding =
      std::find_if(verdict.matches.begin(), verdict.matches.end(),
                   [&](const BaseMatch& other) { return other.status == verdict.status; });
  if (deciding != verdict.matches.end() && &*deciding == &match)
    return verdict.reason + where_text(match, verdict);
  return "base " + escape_untrusted(match.base.text(), 300) + " is " +
         std::string(to_string(match.status)) + " (recognised by " +
         std::string(to_string(match.rung)) + ")" + where_text(match, verdict);
}

/// A deprecated base under an approved one is its owner's business, not this run's.
bool counts(const BaseMatch& match, const Verdict& verdict) {
  return match.status == VerdictStatus::kRevoked || match.status == VerdictStatus::kExpired ||
         (match.status == VerdictStatus::kDeprecated &&
          (match.first_layer != 0 || &match == verdict.naming()));
}

FindingKind kind_of(VerdictStatus status) {
  if (status == VerdictStatus::kRevoked) return FindingKind::kRevokedBase;
  return status == VerdictStatus::kExpired ? FindingKind::kExpiredBase
                                           : FindingKind::kDeprecatedBase;
}

void add_base_causes(const Verdict& verdict, std::vector<FindingCause>& causes) {
  for (const BaseMatch& match : verdict.matches) {
    if (!counts(match, verdict)) continue;
    const FindingKind kind = kind_of(match.status);
    const std::string subject = match.base.text();
    const bool is_known = std::any_of(causes.begin(), causes.end(), [&](const FindingCause& cause) {
      return cause.kind == kind && cause.subject == subject;
    });
    if (!is_known) causes.push_back({kind, subject, match_reason(match, verdict)});
  }
}

/// True when there are any.
bool add_tampered_causes(const Stack& stack, std::vector<FindingCause>& causes) {
  bool has_any = false;
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    if (stack.layers[i].evidence.tampered.empty()) continue;
    has_any = true;
    causes.push_back({FindingKind::kTampered, "layer " + std::to_string(i + 1),
                      tampered_reason(stack.layers[i], i + 1)});
  }
  return has_any;
}

/// Waiting is of no use when a layer of the base that names the run can reach no higher rung.
bool is_hopeless(const Verdict& verdict, const Stack& stack) {
  const BaseMatch* naming = verdict.naming();
  if (naming == nullptr) return false;
  const auto layers = compared_layers(stack);
  const std::size_t count = std::min(naming->layers, layers.size());
  return std::any_of(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(count),
                     [](const StackLayer* layer) {
                       const LayerEvidence& known = layer->evidence;
                       return !known.gap.empty() && (!known.content || known.is_capped_at_shape);
                     });
}

/// A layer above the base that will never be read: nobody knows what lies over the base's files.
void add_unread_causes(const Verdict& verdict, const Stack& stack,
                       std::vector<FindingCause>& causes) {
  const BaseMatch* naming = verdict.naming();
  if (naming == nullptr) return;
  const auto layers = compared_layers(stack);
  for (std::size_t i = naming->layers; i < layers.size(); ++i) {
    const LayerEvidence& known = layers[i]->evidence;
    if (known.gap.empty() || known.content) continue;
    const std::string subject = "layer " + std::to_string(i + 1);
    causes.push_back(
        {FindingKind::kUnverified, subject,
         subject + ", above the base, could not be read: " + escape_once(known.gap, kMaxGapBytes)});
    return;  // the first one says it for all
  }
}

/// One cause for all texts "SUBJECT: REASON" of one subject.
void add_by_subject(FindingKind kind, const std::vector<std::string>& conflicts,
                    std::vector<FindingCause>& causes) {
  for (const std::string& conflict : conflicts) {
    const std::string text = escape_once(conflict, kMaxConflictBytes);
    const std::string subject(contradiction_subject(text));
    const auto same = std::find_if(causes.begin(), causes.end(), [&](const FindingCause& cause) {
      return cause.kind == kind && cause.subject == subject;
    });
    if (same == causes.end())
      causes.push_back({kind, subject, text});
    else
      same->reason += "; " + text;
  }
}

}  // namespace

std::string_view to_string(FindingKind kind) {
  return name_of(kKinds, kind);
}

Result<FindingKind> parse_finding_kind(std::string_view text) {
  return value_of(kKinds, text, "finding kind");
}

std::vector<FindingCause> causes_of(const Verdict& verdict, const Stack& stack, bool is_overdue) {
  std::vector<FindingCause> causes;
  add_base_causes(verdict, causes);
  for (const std::string& text : verdict.contradictions)
    causes.push_back({FindingKind::kMismatch, std::string(contradiction_subject(text)), text});
  const auto layers = compared_layers(stack);
  const bool is_pending = verdict.status == VerdictStatus::kPending;
  const bool is_unknown = verdict.status == VerdictStatus::kUnknown;
  if (!stack.unsupported.empty() || (is_unknown && is_unreadable(layers, stack)))
    causes.push_back({FindingKind::kUnsupportedRoot, "", unreadable_reason(layers, stack)});
  else if (is_unknown)
    causes.push_back({FindingKind::kUnknownBase, "", verdict.reason});
  const bool is_tampered = add_tampered_causes(stack, causes);
  // What is masked is a finding of the run's own.
  if (is_pending && !is_tampered && !stack.is_masked && (is_overdue || is_hopeless(verdict, stack)))
    causes.push_back({FindingKind::kUnverified, verdict.base_name(), verdict.reason});
  add_unread_causes(verdict, stack, causes);
  return causes;
}

std::vector<FindingCause> causes_of_conflicts(const std::vector<std::string>& conflicts) {
  std::vector<FindingCause> causes;
  add_by_subject(FindingKind::kMismatch, conflicts, causes);
  return causes;
}

std::vector<FindingCause> causes_of_recognition(const std::string& rogue,
                                                const std::vector<std::string>& conflicts) {
  std::vector<FindingCause> causes;
  if (!rogue.empty())
    causes.push_back({FindingKind::kRogue, "", escape_once(rogue, kMaxRecognitionBytes)});
  add_by_subject(FindingKind::kIdentityConflict, conflicts, causes);
  return causes;
}

std::vector<FindingCause> causes_of_masking(const std::string& masked, const Verdict& verdict) {
  if (masked.empty() || verdict.naming() == nullptr) return {};
  return {{FindingKind::kMaskedBase, verdict.base_name(), masked}};
}

}  // namespace assay::catalog
