// SPDX-License-Identifier: Apache-2.0
// Digests as columns: 32 raw bytes, NULL when absent.
#pragma once

#include <optional>

#include "common/base/digest.h"
#include "common/sqlite/database.h"

namespace assay::collector {

/// Points into `digest`, which outlives the statement's use of it.
template <typename D>
std::optional<sqlite::Statement::Blob> blob(const std::optional<D>& digest) {
  if (!digest) return std::nullopt;
  return sqlite::Statement::Blob{digest->raw()};
}

/// Errors: kInvalidArgument (another length).
template <typename D>
Result<std::optional<D>> read_digest(const sqlite::Statement& row, int column) {
  if (row.is_null(column)) return std::optional<D>();
  ASSAY_ASSIGN(const D digest, D::from_raw(row.text(column)));
  return std::optional<D>(digest);
}

}  // namespace assay::collector
