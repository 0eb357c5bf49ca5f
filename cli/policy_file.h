// SPDX-License-Identifier: Apache-2.0
// The policy as people keep it: a YAML file with every key that differs from its default, and the
// exemptions.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"
#include "common/catalog/catalog.h"
#include "common/config/table.h"

namespace assay::cli {

inline constexpr std::int64_t kAnyNumber = -1;
inline constexpr const char* kReportRogue = "report";
inline constexpr const char* kIgnoreRogue = "ignore";

/// The keys of a policy file but for the exemptions; docs/cli.md has them as a table.
struct PolicyFile {
  catalog::Policy policy = {};
  std::string required_rung = std::string(catalog::to_string(policy.required_rung));
  std::string deprecated_rung = std::string(catalog::to_string(policy.deprecated_rung));
  std::string expired_rung = std::string(catalog::to_string(policy.expired_rung));
  std::string revoked_rung = std::string(catalog::to_string(policy.revoked_rung));
  std::chrono::seconds since_build{0};  ///< 0: no rule
  std::chrono::seconds since_scan{0};
  std::int64_t max_critical = kAnyNumber;
  std::int64_t max_high = kAnyNumber;
  std::int64_t max_medium = kAnyNumber;
  std::int64_t max_low = kAnyNumber;
  std::int64_t max_unknown = kAnyNumber;
  std::string rogue = kReportRogue;
};
const config::Table<PolicyFile>& policy_table();

/// The policy that `file` describes: what it does not name is the default. An exemption's end is a
/// date or a time in UTC; one that was over at `now` is a problem, as a mistake in the year is.
/// Errors: kInvalidArgument, a line for each problem with its place.
Result<catalog::Policy> read_policy_file(const std::string& file, WallTime now);

}  // namespace assay::cli
