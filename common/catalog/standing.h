// SPDX-License-Identifier: Apache-2.0
// What a base is worth at one moment: its own dates, and the policy's rules on approvals.
#pragma once

#include <optional>
#include <string>

#include "common/catalog/base_image.h"
#include "common/catalog/judge.h"
#include "common/catalog/policy.h"
#include "common/catalog/scan_summary.h"

namespace assay::catalog {

struct Standing {
  VerdictStatus status = VerdictStatus::kUnknown;
  std::string why = {};  ///< the rule of the policy that ends an approval, escaped; else ""
};

/// The standing of `base` at `now` under `policy`. Rules end approvals; they never make a base
/// better than its own status. `scans`: null where scans are not known at all: then rules on scans
/// are not judged. Pure.
Standing standing_of(const Base& base, const Policy& policy, const ScanSummaries* scans,
                     WallTime now);

/// The rung from which on `status` counts (docs/cli.md "The policy").
Rung rung_for(const Policy& policy, VerdictStatus status);
/// The status that a match on `rung` counts with: kPending for bad news that the policy wants to
/// know more surely.
VerdictStatus counted_status(const Policy& policy, VerdictStatus status, Rung rung);

/// The earliest moment after `now` at which a rule of `policy` ends the approval of `base`.
std::optional<WallTime> next_rule_after(const Base& base, const Policy& policy,
                                        const ScanSummaries* scans, WallTime now);

}  // namespace assay::catalog
