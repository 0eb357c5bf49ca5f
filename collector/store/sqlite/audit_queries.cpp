// SPDX-License-Identifier: Apache-2.0
// The audit log, newest first.
#include "collector/store/sqlite/queries.h"

namespace assay::collector {
namespace {

using sqlite::Statement;

constexpr std::string_view kAuditColumns =
    "SELECT audit_key, time_ns, actor, action, subject, outcome, detail, peer FROM audit_log";

AuditEntry read_entry(const Statement& row) {
  return {row.integer(1), row.text(2), row.text(3), row.text(4),
          row.text(5),    row.text(6), row.text(7)};
}

/// ?1 … ?6 are always bound, ?6 is always there.
std::string audit_sql(const AuditFilter& filter, bool is_continued) {
  std::string sql = std::string(kAuditColumns) + " WHERE 1";
  if (is_continued) sql += " AND audit_key < ?1";
  // NAME alone stands for it after any "means:", and before the "/ID" of a token.
  if (filter.actor.find(':') != std::string::npos || filter.actor == "collector")
    sql += " AND (actor = ?2 OR substr(actor, 1, length(?2) + 1) = ?2 || '/')";
  else if (!filter.actor.empty())
    sql +=
        " AND (substr(actor, instr(actor, ':') + 1) = ?2 OR"
        " substr(substr(actor, instr(actor, ':') + 1), 1, length(?2) + 1) = ?2 || '/')";
  if (!filter.action.empty())
    sql += " AND (action = ?3 OR substr(action, 1, length(?3) + 1) = ?3 || '.')";
  if (!filter.outcome.empty()) sql += " AND outcome = ?4";
  if (filter.since_ns != 0) sql += " AND time_ns >= ?5";
  return sql + " ORDER BY audit_key DESC LIMIT ?6";
}

}  // namespace

Result<Page<AuditEntry>> query_audit(sqlite::Database& database, const AuditFilter& filter,
                                     std::optional<Cursor> after, int limit) {
  ASSAY_ASSIGN(Statement * query, database.prepare(audit_sql(filter, after.has_value())));
  query->bind(after.value_or(Cursor{}).key, filter.actor, filter.action, filter.outcome,
              filter.since_ns, limit + 1);
  Page<AuditEntry> page;
  Cursor last;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    if (static_cast<int>(page.rows.size()) == limit) {
      page.next = last;
      break;
    }
    last = {query->integer(1), query->integer(0)};
    page.rows.push_back(read_entry(*query));
  }
  query->reset();
  return page;
}

Result<std::vector<AuditEntry>> query_audit_log(sqlite::Database& database, int limit) {
  ASSAY_ASSIGN(Page<AuditEntry> page, query_audit(database, {}, std::nullopt, limit));
  return std::move(page.rows);
}

}  // namespace assay::collector
