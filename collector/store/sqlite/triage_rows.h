// SPDX-License-Identifier: Apache-2.0
// The columns of `findings` that say what people did, and how a finding is found by its id.
#pragma once

#include <string>
#include <string_view>

#include "collector/core/store.h"
#include "common/sqlite/database.h"

namespace assay::collector {

inline constexpr std::string_view kTriageColumns =
    "f.acknowledged_by, f.acknowledged_ns, f.acknowledged_note, f.assignee, f.assigned_by,"
    " f.muted_by, f.muted_ns, f.muted_until_ns, f.muted_reason, f.muted_as, f.revision";
inline constexpr int kTriageColumnCount = 11;

/// Reads kTriageColumns from column `first` on.
TriageState read_triage(const sqlite::Statement& row, int first);

/// The key of the one finding whose id is `id` or begins with it.
/// Errors: kNotFound, kInvalidArgument (too short, or several begin so).
Result<FindingKey> find_finding_key(sqlite::Database& database, const std::string& id);

}  // namespace assay::collector
