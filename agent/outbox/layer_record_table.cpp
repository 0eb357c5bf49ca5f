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

struct Eviction {
  std::string_view choose;  // a row, and the bytes that are free without it
  std::string_view act;
};

// "tampered <> ''" as the index has it, so that the oldest row is found without reading the others.
constexpr Eviction kEvictions[] = {
    {"SELECT rowid, bytes FROM layer_records WHERE (tampered <> '') = 0"
     " ORDER BY stored_ns, rowid LIMIT 1",
     "DELETE FROM layer_records WHERE rowid=?"},
    {"SELECT rowid, length(record) FROM layer_records WHERE (tampered <> '') = 1"
     " AND length(record) > 0 ORDER BY stored_ns, rowid LIMIT 1",
     "UPDATE layer_records SET bytes = bytes - length(record), record = x'' WHERE rowid=?"},
    {"SELECT rowid, bytes FROM layer_records WHERE (tampered <> '') = 1"
     " ORDER BY stored_ns, rowid LIMIT 1",
     "DELETE FROM layer_records WHERE rowid=?"},
};

/// The bytes that it freed; 0: there is no such row.
Result<std::uint64_t> evict_one(sqlite::Database& database, const Eviction& step) {
  ASSAY_ASSIGN(sqlite::Statement * oldest, database.prepare(step.choose));
  ASSAY_ASSIGN(const bool has_row, oldest->step());
  const std::int64_t row = has_row ? oldest->integer(0) : 0;
  const auto freed = has_row ? static_cast<std::uint64_t>(oldest->integer(1)) : 0;
  oldest->reset();
  if (!has_row) return freed;
  ASSAY_ASSIGN(sqlite::Statement * act, database.prepare(step.act));
  ASSAY_TRY(act->bind(row).run());
  return freed;
}

}  // namespace

Result<std::optional<KeptRecord>> LayerRecordTable::find(sqlite::Database& database,
                                                         const catalog::LayerInstance& instance) {
  ASSAY_ASSIGN(
      sqlite::Statement * row,
      database.prepare("SELECT record, tampered FROM layer_records"
                       " WHERE file_system=? AND inode=? AND generation=? AND birth_ns=?"));
  row->bind(instance.file_system, instance.inode, instance.generation, instance.birth_ns);
  ASSAY_ASSIGN(const bool has_row, row->step());
  std::optional<KeptRecord> kept;
  if (has_row) kept = KeptRecord{row->text(0), row->text(1)};
  row->reset();
  return kept;
}

Result<std::string> LayerRecordTable::find_tampered(sqlite::Database& database,
                                                    const catalog::LayerInstance& instance) {
  ASSAY_ASSIGN(
      sqlite::Statement * row,
      database.prepare("SELECT tampered FROM layer_records"
                       " WHERE file_system=? AND inode=? AND generation=? AND birth_ns=?"));
  row->bind(instance.file_system, instance.inode, instance.generation, instance.birth_ns);
  ASSAY_ASSIGN(const bool has_row, row->step());
  std::string tampered = has_row ? row->text(0) : "";
  row->reset();
  return tampered;
}

Result<void> LayerRecordTable::renew(sqlite::Database& database,
                                     const catalog::LayerInstance& instance) {
  ASSAY_ASSIGN(sqlite::Statement * update,
               database.prepare("UPDATE layer_records SET stored_ns = unixepoch() * 1000000000"
                                " WHERE file_system=? AND inode=? AND generation=? AND birth_ns=?"
                                " AND stored_ns < (unixepoch() - 3600) * 1000000000"));
  return update->bind(instance.file_system, instance.inode, instance.generation, instance.birth_ns)
      .run();
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
  for (const Eviction& step : kEvictions) {
    while (*bytes_ > max_bytes_) {
      ASSAY_ASSIGN(const std::uint64_t freed, evict_one(database, step));
      if (freed == 0) break;
      *bytes_ -= freed;
      ++evicted_;
    }
  }
  return ok();
}

}  // namespace assay::agent
