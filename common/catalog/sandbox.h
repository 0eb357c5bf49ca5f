// SPDX-License-Identifier: Apache-2.0
// What the policy says of sandboxes: pause containers, which hold a pod's namespaces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/catalog/container_names.h"
#include "common/catalog/judge.h"
#include "common/catalog/policy.h"

namespace assay::catalog {

inline constexpr std::string_view kSandboxKind = "sandbox";     ///< of a run
inline constexpr std::string_view kSandboxSubject = "sandbox";  ///< of the finding on another base

/// Verdicts that a policy may accept on sandboxes.
const std::vector<std::string>& acceptable_on_sandboxes();

/// What the rule made of a run's causes.
struct SandboxOutcome {
  std::vector<FindingCause> accepted;  ///< taken out: no findings
  std::string text;                    ///< why: "accepted on sandboxes by the policy"
};
/// Applies the policy's rule to the causes of a run of `kind`: those that it accepts are taken out,
/// and a base that it does not name is a cause more (unknown-base, subject `sandbox`). Leaves every
/// other run, and a sandbox whose names are not confirmed, as it is. Pure.
SandboxOutcome apply_sandbox_rule(const Policy& policy, std::string_view kind,
                                  const ContainerNames& names, const Verdict& verdict,
                                  std::vector<FindingCause>& causes);

}  // namespace assay::catalog
