// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/sandbox.h"

#include <algorithm>

#include "common/base/encoding.h"

namespace assay::catalog {
namespace {

/// The verdict whose finding a cause is; "" for those that no policy accepts.
std::string_view verdict_of(const FindingCause& cause) {
  switch (cause.kind) {
    case FindingKind::kUnknownBase:
      return "unknown";
    case FindingKind::kDeprecatedBase:
      return "deprecated";
    case FindingKind::kExpiredBase:
      return "expired";
    case FindingKind::kUnverified:
      return "pending";
    default:
      return "";
  }
}

bool is_named(const SandboxRule& rule, const BaseId& base) {
  return std::ranges::any_of(rule.bases, [&](const std::string& allowed) {
    return allowed == base.name || allowed == base.text();
  });
}

std::string list_of(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

const std::vector<std::string>& acceptable_on_sandboxes() {
  static const std::vector<std::string> verdicts{"deprecated", "expired", "unknown", "pending"};
  return verdicts;
}

SandboxOutcome apply_sandbox_rule(const Policy& policy, std::string_view kind,
                                  const ContainerNames& names, const Verdict& verdict,
                                  std::vector<FindingCause>& causes) {
  SandboxOutcome outcome;
  const SandboxRule& rule = policy.sandbox;
  if (rule == SandboxRule{} || kind != kSandboxKind || !names.are_confirmed()) return outcome;
  std::vector<FindingCause> left;
  for (FindingCause& cause : causes) {
    const bool is_accepted =
        std::ranges::find(rule.accepts, verdict_of(cause)) != rule.accepts.end();
    (is_accepted ? outcome.accepted : left).push_back(std::move(cause));
  }
  causes = std::move(left);
  if (!outcome.accepted.empty()) outcome.text = "accepted on sandboxes by the policy";
  if (rule.bases.empty() || verdict.naming() == nullptr || is_named(rule, verdict.naming()->base))
    return outcome;
  causes.push_back({FindingKind::kUnknownBase, std::string(kSandboxSubject),
                    "a sandbox may stand on " + escape_untrusted(list_of(rule.bases), 400) +
                        " only, and this one stands on " +
                        escape_untrusted(verdict.base_name(), 300)});
  return outcome;
}

}  // namespace assay::catalog
