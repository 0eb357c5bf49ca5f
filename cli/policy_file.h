// SPDX-License-Identifier: Apache-2.0
// The policy as people keep it: a YAML file with every key that differs from its default.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/catalog/catalog.h"
#include "common/config/table.h"

namespace assay::cli {

/// The keys of a policy file; docs/cli.md has them as a table.
struct PolicyFile {
  catalog::Policy policy = {};
  std::string required_rung = std::string(catalog::to_string(policy.required_rung));
};
const config::Table<PolicyFile>& policy_table();

/// The policy that `file` describes: what it does not name is the default.
/// Errors: kInvalidArgument, a line for each problem with its place.
Result<catalog::Policy> read_policy_file(const std::string& file);

}  // namespace assay::cli
