// SPDX-License-Identifier: Apache-2.0
// A policy as a value tree, and what changes between two.
#pragma once

#include <string>
#include <vector>

#include "cli/output/document.h"
#include "common/catalog/policy.h"

namespace assay::cli {

Value policy_value(const catalog::Policy& policy);
/// The lines of a policy at `path` of the document; exemptions are exemption_section()'s.
std::vector<Column> policy_columns(const std::string& path);
Section exemption_section(const std::string& path);

/// [`key`, `before`, `after`]: one entry for each key that differs and each exemption that came or
/// went; null where there is none.
Array policy_changes(const catalog::Policy& before, const catalog::Policy& after);
Section change_section();

}  // namespace assay::cli
