// SPDX-License-Identifier: Apache-2.0
// The table of open runs in outbox.db. It follows the events: each change is committed in the
// transaction of the event that tells of it, so that a crash leaves both or neither.
#pragma once

#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "common/sqlite/database.h"

namespace assay::agent {

/// The table's migration.
extern const char* const kOpenRunTable;

/// Inside the caller's transaction. Errors: kUnavailable, kCorrupt.
Result<void> apply(sqlite::Database& database, const std::string& boot_id, const RunChange& change);
enum class OfBoot { kThis, kOther };
/// Open runs of this boot, or of all others, by id.
Result<std::vector<OpenRun>> load_open_runs(sqlite::Database& database, const std::string& boot_id,
                                            OfBoot which);

}  // namespace assay::agent
