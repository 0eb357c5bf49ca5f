// SPDX-License-Identifier: Apache-2.0
// The table of state.db with the node's own records of layer directories.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/core/ports.h"
#include "common/sqlite/database.h"

namespace assay::agent {

/// Bounded in bytes: rows of layers that nobody looked at for longest go first; then the records of
/// layers that were found changed, but not what was found; that goes when nothing else is left.
/// Used under the mutex of state.db's connection.
class LayerRecordTable {
 public:
  static constexpr std::string_view kSchema = R"sql(
  CREATE TABLE layer_records (
    file_system TEXT NOT NULL,
    inode INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    birth_ns INTEGER NOT NULL,
    stored_ns INTEGER NOT NULL DEFAULT (unixepoch() * 1000000000),
    bytes INTEGER NOT NULL,
    tampered TEXT NOT NULL,
    record BLOB NOT NULL,
    UNIQUE (file_system, inode, generation, birth_ns));
  CREATE INDEX layer_records_by_age ON layer_records (tampered <> '', stored_ns, bytes);
  DELETE FROM layers;
)sql";

  explicit LayerRecordTable(std::uint64_t max_bytes) : max_bytes_(max_bytes) {}

  /// Errors: kUnavailable, kCorrupt.
  Result<std::optional<KeptRecord>> find(sqlite::Database& database,
                                         const catalog::LayerInstance& instance);
  Result<std::string> find_tampered(sqlite::Database& database,
                                    const catalog::LayerInstance& instance);
  /// Errors: kUnavailable.
  Result<void> keep(sqlite::Database& database, const catalog::LayerInstance& instance,
                    const KeptRecord& kept);
  /// It was looked at: it goes later. Writes once an hour at most. Errors: kUnavailable.
  static Result<void> renew(sqlite::Database& database, const catalog::LayerInstance& instance);

  /// Records that went because the table was full.
  std::uint64_t evicted() const { return evicted_; }

 private:
  Result<void> bound(sqlite::Database& database);

  const std::uint64_t max_bytes_;
  std::optional<std::uint64_t> bytes_;  // of all records; nothing: not counted yet
  std::uint64_t evicted_ = 0;
};

}  // namespace assay::agent
