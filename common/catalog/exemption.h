// SPDX-License-Identifier: Apache-2.0
// Whether an exemption of the policy covers a finding on one container.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/catalog/container_names.h"
#include "common/catalog/judge.h"
#include "common/catalog/policy.h"

namespace assay::catalog {

/// The owner of a container as its labels tell it, "" when none does: a Kubernetes job, deployment,
/// stateful or daemon set (by the labels that their controllers put on pods),
/// app.kubernetes.io/instance or /name, or compose's PROJECT/SERVICE. A claim.
std::string workload_of(const ContainerNames& names);
/// Whom to tell about a container: the first of its labels assay.contact, owner, team,
/// org.opencontainers.image.authors, maintainer; "" when it has none. A claim.
std::string contact_of(const ContainerNames& names);

/// Whether some selector narrows it down: one that covers a base everywhere would undo its
/// revocation.
bool has_selector(const Exemption& exemption);
/// Findings that a policy may exempt from: deprecated, revoked and expired bases.
bool is_exemptible(FindingKind kind);
/// Whether any exemption that is not over at `now` could cover one of `causes`, whatever the
/// container is called: the names are looked at only then.
bool may_be_exempt(const Policy& policy, const std::vector<FindingCause>& causes, WallTime now);

/// What becomes of a cause on one container.
struct ExemptionOutcome {
  const Exemption* exemption = nullptr;  ///< owned by the policy; null when none covers it
  bool is_unconfirmed = false;  ///< it would, but nothing confirms that the names are its own
};
/// The exemption with the latest end that covers `cause`. Pure.
ExemptionOutcome exemption_for(const Policy& policy, const FindingCause& cause,
                               const ContainerNames& names, WallTime now);
/// "exempt until 2026-12-31T00:00:00Z by OWNER: REASON", escaped.
std::string exemption_text(const Exemption& exemption);

}  // namespace assay::catalog
