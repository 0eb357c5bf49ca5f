// SPDX-License-Identifier: Apache-2.0
// The part of SqliteWriter that removes what is over.
#include "collector/store/sqlite/writer.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

/// The next rows of a kind that are old: ?1 before, ?2 and ?3 the cursor, ?4 how many.
/// Columns: time, key.
std::string_view rows_sql(Aged kind) {
  switch (kind) {
    case Aged::kExecs:  // in the order they came in: a window with none that is old is the last
      return "SELECT time_ns, exec_key FROM execs WHERE time_ns < ?1 AND ?2 IS NOT NULL"
             " AND exec_key > ?3 AND exec_key <= (SELECT max(exec_key) FROM (SELECT exec_key FROM"
             " execs WHERE exec_key > ?3 ORDER BY exec_key LIMIT ?4)) ORDER BY exec_key";
    case Aged::kFindings:
      return "SELECT resolved_ns, finding_key FROM findings WHERE resolved_ns > 0 AND"
             " resolved_ns < ?1 AND (resolved_ns, finding_key) > (?2, ?3)"
             " ORDER BY resolved_ns, finding_key LIMIT ?4";
    case Aged::kRuns:
      return "SELECT end_told_ns, run_key FROM runs WHERE end_told_ns > 0 AND end_told_ns < ?1"
             " AND (end_told_ns, run_key) > (?2, ?3) ORDER BY end_told_ns, run_key LIMIT ?4";
    case Aged::kScans:
      return "SELECT imported_ns, scan_key FROM scans WHERE imported_ns < ?1"
             " AND (imported_ns, scan_key) > (?2, ?3) ORDER BY imported_ns, scan_key LIMIT ?4";
    case Aged::kAudit:
      return "SELECT time_ns, audit_key FROM audit_log WHERE time_ns < ?1"
             " AND (time_ns, audit_key) > (?2, ?3) ORDER BY time_ns, audit_key LIMIT ?4";
  }
  return "";
}

/// Removes the row with the key ?1, unless something still needs it.
std::string_view remove_sql(Aged kind) {
  switch (kind) {
    case Aged::kExecs:
      return "DELETE FROM execs WHERE exec_key=?1";
    case Aged::kFindings:
      return "DELETE FROM findings WHERE finding_key=?1";
    case Aged::kRuns:
      return "DELETE FROM runs WHERE run_key=?1";
    case Aged::kScans:
      return "DELETE FROM scans WHERE scan_key=?1";
    case Aged::kAudit:
      return "DELETE FROM audit_log WHERE audit_key=?1";
  }
  return "";
}

Result<bool> is_there(Database& database, std::string_view sql, std::int64_t key) {
  ASSAY_ASSIGN(Statement * query, database.prepare(sql));
  ASSAY_ASSIGN(const bool found, query->bind(key).step());
  query->reset();
  return found;
}

Result<void> remove(Database& database, std::string_view sql, std::int64_t key) {
  ASSAY_ASSIGN(Statement * statement, database.prepare(sql));
  return statement->bind(key).run();
}

/// A run stays while it has findings, open or not, and until it was settled.
Result<bool> is_run_free(Database& database, std::int64_t run) {
  return is_there(database,
                  "SELECT 1 FROM runs r WHERE run_key=?1 AND is_open=0 AND NOT EXISTS(SELECT 1 FROM"
                  " findings f WHERE f.run_key=r.run_key)",
                  run);
}

/// A scan stays while it is the newest of its tool on its base, and VEX documents stay.
Result<bool> is_scan_free(Database& database, std::int64_t scan) {
  return is_there(database,
                  "SELECT 1 FROM scans s JOIN scans n ON n.base_name=s.base_name AND"
                  " n.base_version=s.base_version AND n.scope=s.scope AND n.tool=s.tool AND"
                  " n.format<>'openvex' AND (n.scanned_ns, n.scan_key) > (s.scanned_ns, s.scan_key)"
                  " WHERE s.scan_key=?1 AND s.format<>'openvex' LIMIT 1",
                  scan);
}

Result<void> remove_layers_of(Database& database, std::int64_t stack) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT layer_id FROM stack_layers WHERE stack_id=?"));
  query->bind(stack);
  std::vector<std::int64_t> layers;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    layers.push_back(query->integer(0));
  }
  query->reset();
  ASSAY_TRY(remove(database, "DELETE FROM stack_layers WHERE stack_id=?", stack));
  for (const std::int64_t layer : layers)
    ASSAY_TRY(remove(database,
                     "DELETE FROM layers WHERE layer_id=?1 AND NOT EXISTS(SELECT 1 FROM"
                     " stack_layers WHERE layer_id=?1)",
                     layer));
  return ok();
}

/// A stack goes with the last run on it: the node describes it anew when it is seen again.
Result<void> remove_stack_without_runs(Database& database, std::int64_t stack) {
  ASSAY_ASSIGN(const bool is_used,
               is_there(database,
                        "SELECT 1 WHERE EXISTS(SELECT 1 FROM runs WHERE stack_id=?1) OR"
                        " EXISTS(SELECT 1 FROM unsettled_stacks WHERE stack_id=?1)",
                        stack));
  if (is_used) return ok();
  ASSAY_TRY(remove_layers_of(database, stack));
  for (const char* sql :
       {"DELETE FROM stack_matches WHERE stack_id=?",
        "DELETE FROM stack_file_sets WHERE stack_id=?",
        "DELETE FROM stack_containments WHERE stack_id=?", "DELETE FROM stacks WHERE stack_id=?"})
    ASSAY_TRY(remove(database, sql, stack));
  return ok();
}

/// Whether the run went: one with more than `max_execs` execs goes over several steps.
Result<bool> remove_run(Database& database, std::int64_t run, int max_execs) {
  ASSAY_ASSIGN(const bool is_free, is_run_free(database, run));
  if (!is_free) return false;
  ASSAY_ASSIGN(Statement * execs,
               database.prepare("DELETE FROM execs WHERE exec_key IN (SELECT exec_key FROM execs"
                                " WHERE run_key=? LIMIT ?)"));
  ASSAY_TRY(execs->bind(run, max_execs).run());
  if (database.changes() == max_execs) return false;  // the next round goes on
  ASSAY_ASSIGN(Statement * query, database.prepare("SELECT stack_id FROM runs WHERE run_key=?"));
  ASSAY_ASSIGN(const bool is_row, query->bind(run).step());
  const std::int64_t stack = is_row ? query->integer(0) : 0;
  query->reset();
  ASSAY_TRY(remove(database, remove_sql(Aged::kRuns), run));
  ASSAY_TRY(remove_stack_without_runs(database, stack));
  return true;
}

Result<bool> remove_scan(Database& database, std::int64_t scan) {
  ASSAY_ASSIGN(const bool is_free, is_scan_free(database, scan));
  if (!is_free) return false;
  for (const char* sql :
       {"DELETE FROM scan_findings WHERE scan_key=?", "DELETE FROM scan_names WHERE scan_key=?"})
    ASSAY_TRY(remove(database, sql, scan));
  ASSAY_TRY(remove(database, remove_sql(Aged::kScans), scan));
  return true;
}

Result<bool> remove_row(Database& database, Aged kind, std::int64_t key, int limit) {
  if (kind == Aged::kRuns) return remove_run(database, key, limit);
  if (kind == Aged::kScans) return remove_scan(database, key);
  if (kind == Aged::kFindings)
    ASSAY_TRY(remove(database, "DELETE FROM triage_history WHERE finding_key=?1", key));
  ASSAY_TRY(remove(database, remove_sql(kind), key));
  return true;
}

}  // namespace

Result<AgedRows> SqliteWriter::remove_aged(Aged kind, std::int64_t before_ns,
                                           const AgedCursor& after, int limit) {
  ASSAY_ASSIGN(Statement * query, database_.prepare(rows_sql(kind)));
  query->bind(before_ns, after.time_ns, after.key, limit);
  std::vector<AgedCursor> found;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    found.push_back({query->integer(0), query->integer(1)});
  }
  query->reset();
  AgedRows rows;
  for (const AgedCursor& row : found) {
    ASSAY_ASSIGN(const bool is_gone, remove_row(database_, kind, row.key, limit));
    if (is_gone) ++rows.removed;
  }
  // Of execs only those of a window that are old were found: there may be more after it.
  const bool may_be_more =
      kind == Aged::kExecs ? !found.empty() : static_cast<int>(found.size()) == limit;
  if (may_be_more) rows.next = found.back();
  return rows;
}

}  // namespace assay::collector
