// SPDX-License-Identifier: Apache-2.0
// Stacks, their layers and verdicts as rows; shared by the writer and the readers.
#pragma once

#include <string_view>

#include "collector/core/store.h"
#include "common/sqlite/database.h"

namespace assay::collector {

/// Columns of a verdict without its matches, in the order that read_verdict wants them.
inline constexpr std::string_view kVerdictColumns =
    "s.verdict, s.rung, s.reason, s.contradictions, s.application_layers, s.catalog_sequence";
inline constexpr int kVerdictColumnCount = 6;
/// Reads kVerdictColumns from column `first` on. Errors: kCorrupt.
Result<catalog::Verdict> read_verdict(const sqlite::Statement& row, int first);
Result<std::vector<catalog::BaseMatch>> load_matches(sqlite::Database& database, StackId stack);
Result<void> save_verdict(sqlite::Database& database, const StackRow& before,
                          const catalog::Verdict& verdict, std::uint64_t round);

/// Writes the layers that are new on the node, and which of them make up the stack.
Result<void> save_description(sqlite::Database& database, StackId id, NodeId node,
                              const catalog::Stack& stack);
Result<catalog::Stack> load_description(sqlite::Database& database, StackId id);

}  // namespace assay::collector
