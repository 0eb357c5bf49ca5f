// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/layer_record_table.h"

namespace assay::agent {
namespace {

// What a row costs beside its record.
constexpr std::uint64_t kRowBytes = 256;

std::uint64_t bytes_of(const KeptRecord& kept) {
  return kept.record.size() + kept.tampered.size() + kRowBytes;
}

Result<std::uint64_t> number_of(sqlite::Database& database, std::string_view sql) {
  ASSAY_ASSIGN(sqlite::Statement * query, database.prepare(sql));
  ASSAY_ASSIGN(const bool has_row, query->step());
  const auto number = has_row ? static_cast<std::uint64_t>(query->integer(0)) : 0;
  query->reset();
  return number;
}

}  // namespace

std::optional<KeptRecord> LayerRecordTable::find(sqlite::Database& database,
                                                 const catalog::LayerInstance& instance) {
  auto query = database.prepare(
      "SELECT record, tampered FROM layer_records"
      " WHERE file_system=? AND inode=? AND generation=? AND birth_ns=?");
  if (!query) return std::nullopt;
  sqlite::Statement& row = **query;
  row.bind(instance.file_system, instance.inode, instance.generation, instance.birth_ns);
  const auto has_row = row.step();
  if (!has_row || !*has_row) return std::nullopt;
  KeptRecord kept{std::string(row.text(0)), std::string(row.text(1))};
  row.reset();
  return kept;
}

std::string LayerRecordTable::find_tampered(sqlite::Database& database,
                                            const catalog::LayerInstance& instance) {
  auto query = database.prepare(
      "SELECT tampered FROM layer_records"
      " WHERE file_system=? AND inode=? AND generation=? AND birth_ns=?");
  if (!query) return "";
  sqlite::Statement& row = **query;
  row.bind(instance.file_system, instance.inode, instance.generation, instance.birth_ns);
  const auto has_row = row.step();
  if (!has_row || !*has_row) return "";
  std::string tampered(row.text(0));
  row.reset();
  return tampered;
}

Result<void> LayerRecordTable::keep(sqlite::Database& database,
                                    const catalog::LayerInstance& instance,
                                    const KeptRecord& kept) {
  auto done = database.transaction([&]() -> Result<void> {
    if (!bytes_) {
      ASSAY_ASSIGN(bytes_,
                   number_of(database, "SELECT coalesce(sum(bytes), 0) FROM layer_records"));
    }
    ASSAY_ASSIGN(sqlite::Statement * insert,
                 database.prepare("INSERT OR REPLACE INTO layer_records (file_system, inode,"
                                  " generation, birth_ns, bytes, tampered, record)"
                                  " VALUES (?, ?, ?, ?, ?, ?, ?)"));
    ASSAY_TRY(insert
                  ->bind(instance.file_system, instance.inode, instance.generation,
                         instance.birth_ns, bytes_of(kept), kept.tampered,
                         sqlite::Statement::Blob{kept.record})
                  .run());
    *bytes_ += bytes_of(kept);  // too much when it replaces one: bound() counts again
    return *bytes_ > max_bytes_ ? bound(database) : ok();
  });
  if (!done) bytes_.reset();
  return done;
}

Result<void> LayerRecordTable::bound(sqlite::Database& database) {
  ASSAY_ASSIGN(bytes_, number_of(database, "SELECT coalesce(sum(bytes), 0) FROM layer_records"));
  while (*bytes_ > max_bytes_) {
    ASSAY_ASSIGN(sqlite::Statement * oldest,
                 database.prepare("SELECT rowid, bytes FROM layer_records"
                                  " ORDER BY tampered <> '', stored_ns, rowid LIMIT 1"));
    ASSAY_ASSIGN(const bool has_row, oldest->step());
    if (!has_row) break;
    const std::int64_t row = oldest->integer(0);
    *bytes_ -= static_cast<std::uint64_t>(oldest->integer(1));
    oldest->reset();
    ASSAY_ASSIGN(sqlite::Statement * remove,
                 database.prepare("DELETE FROM layer_records WHERE rowid=?"));
    ASSAY_TRY(remove->bind(row).run());
  }
  return ok();
}

}  // namespace assay::agent
