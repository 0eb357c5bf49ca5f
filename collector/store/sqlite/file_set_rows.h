// SPDX-License-Identifier: Apache-2.0
// File sets as rows; shared by the writer and the readers.
#pragma once

#include <optional>
#include <string>

#include "collector/core/store.h"
#include "common/sqlite/database.h"

namespace assay::collector {

/// Encoded; "" when it is not there.
Result<std::string> load_base_file_set(sqlite::Database& database, const FileSetDigest& digest);
/// The stack's file set, encoded; "" when it is not here.
Result<std::string> load_stack_files(sqlite::Database& database, StackId stack);
/// What is known of the stack's files; nothing when nobody asked for them.
Result<std::optional<ContainmentView>> load_containment(sqlite::Database& database, StackId stack);

}  // namespace assay::collector
