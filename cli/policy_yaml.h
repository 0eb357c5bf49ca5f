// SPDX-License-Identifier: Apache-2.0
// A policy as the file that says it: what `assay policy show -o yaml` prints and `policy set`
// reads.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/catalog/policy.h"

namespace assay::cli {

/// The keys that differ from their defaults, and the exemptions that are not over at `now`; those
/// that are over stand in a comment, for a file may not hold them. ASCII: everything else is
/// escaped as YAML has it. read_policy_file() makes the same policy of it.
std::string policy_yaml(const catalog::Policy& policy, WallTime now);

}  // namespace assay::cli
