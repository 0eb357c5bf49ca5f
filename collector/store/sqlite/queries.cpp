// SPDX-License-Identifier: Apache-2.0
// Catalog and findings.
#include "collector/store/sqlite/queries.h"

#include "collector/store/sqlite/name_columns.h"
#include "collector/store/sqlite/triage_rows.h"
#include "common/catalog/base_image.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

Result<FindingView> read_finding(const Statement& row) {
  FindingView finding;
  finding.finding_id = row.text(1);
  ASSAY_ASSIGN(finding.kind, catalog::parse_finding_kind(row.text(2)));
  finding.subject = row.text(3);
  finding.reason = row.text(4);
  finding.opened_ns = row.integer(5);
  finding.changed_ns = row.integer(6);
  finding.resolved_ns = row.integer(7);
  finding.resolved_reason = row.text(8);
  finding.base = row.text(9);
  finding.node = {row.text(10), row.text(11)};
  finding.run_id = row.text(12);
  ASSAY_ASSIGN(finding.names, read_names(row, 13));
  finding.triage = read_triage(row, 13 + kNameColumnCount);
  return finding;
}

std::string finding_columns() {
  return "SELECT f.finding_key, f.finding_id, f.kind, f.subject, f.reason, f.opened_ns,"
         " f.changed_ns, f.resolved_ns, f.resolved_reason, f.base, n.cluster, n.node, r.run_id, " +
         std::string(kNameColumns) + ", " + std::string(kTriageColumns) +
         " FROM findings f JOIN nodes n ON n.node_id = f.node_id"
         " LEFT JOIN runs r ON r.run_key = f.run_key";
}

/// All parameters are always bound; ?8, the last, is always there.
std::string findings_sql(const FindingFilter& filter, bool is_continued) {
  std::string sql = finding_columns() + " WHERE 1";
  if (!filter.include_resolved) sql += " AND f.resolved_ns = 0";
  if (is_continued) sql += " AND (f.opened_ns, f.finding_key) < (?1, ?2)";
  sql += node_condition(filter.node, "?3");
  if (filter.kind) sql += " AND f.kind = ?4";
  // NAME alone stands for NAME:anything; ';' is the character after ':'.
  if (filter.base.find(':') != std::string::npos)
    sql += " AND f.base = ?5";
  else if (!filter.base.empty())
    sql += " AND f.base >= ?5 || ':' AND f.base < ?5 || ';'";
  if (!filter.run_id.empty()) sql += " AND r.run_id = ?6";
  if (!filter.assignee.empty()) sql += " AND f.assignee = ?7";
  if (!filter.include_muted && filter.triage.empty()) sql += " AND f.muted_until_ns = 0";
  if (filter.triage == "muted") sql += " AND f.muted_until_ns > 0";
  if (filter.triage == "acknowledged") sql += " AND f.muted_until_ns = 0 AND f.acknowledged_ns > 0";
  if (filter.triage == "new") sql += " AND f.muted_until_ns = 0 AND f.acknowledged_ns = 0";
  return sql + " ORDER BY f.opened_ns DESC, f.finding_key DESC LIMIT ?8";
}

}  // namespace

Result<catalog::SignedLog> query_catalog(Database& database) {
  catalog::SignedLog log;
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT statement FROM catalog_log ORDER BY sequence"));
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    log.statements.push_back(query->text(0));
  }
  query->reset();
  ASSAY_ASSIGN(Statement * head, database.prepare("SELECT head FROM catalog_head"));
  ASSAY_ASSIGN(const bool is_there, head->step());
  if (is_there) log.head = head->text(0);
  head->reset();
  ASSAY_ASSIGN(Statement * roots,
               database.prepare("SELECT root FROM catalog_roots ORDER BY version"));
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, roots->step());
    if (!is_row) break;
    log.roots.push_back(roots->text(0));
  }
  roots->reset();
  return log;
}

Result<JudgingRound> query_round(Database& database) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT round, catalog_sequence, began_ns FROM judging"));
  ASSAY_ASSIGN(const bool is_there, query->step());
  if (!is_there) return Error{ErrorCode::kCorrupt, "the table judging is empty"};
  const JudgingRound round{static_cast<std::uint64_t>(query->integer(0)),
                           static_cast<std::uint64_t>(query->integer(1)), query->integer(2)};
  query->reset();
  return round;
}

Result<Page<FindingView>> query_findings(Database& database, const FindingFilter& filter,
                                         std::optional<Cursor> after, int limit) {
  ASSAY_ASSIGN(Statement * query, database.prepare(findings_sql(filter, after.has_value())));
  const Cursor cursor = after.value_or(Cursor{});
  query->bind(cursor.time_ns, cursor.key, filter.node,
              filter.kind ? catalog::to_string(*filter.kind) : std::string_view(), filter.base,
              filter.run_id, filter.assignee, limit + 1);
  Page<FindingView> page;
  Cursor last;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    if (static_cast<int>(page.rows.size()) == limit) {
      page.next = last;
      break;
    }
    ASSAY_ASSIGN(FindingView finding, read_finding(*query));
    last = {finding.opened_ns, query->integer(0)};
    page.rows.push_back(std::move(finding));
  }
  query->reset();
  return page;
}

Result<FindingDetailView> query_finding(Database& database, const std::string& id) {
  ASSAY_ASSIGN(const FindingKey key, find_finding_key(database, id));
  FindingDetailView detail;
  ASSAY_ASSIGN(Statement * query, database.prepare(finding_columns() + " WHERE f.finding_key = ?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(static_cast<std::int64_t>(key)).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "there is no such finding"};
  ASSAY_ASSIGN(detail.finding, read_finding(*query));
  query->reset();
  ASSAY_ASSIGN(Statement * entries,
               database.prepare("SELECT time_ns, actor, action, note, assignee, muted_until_ns"
                                " FROM triage_history WHERE finding_key = ?"
                                " ORDER BY entry_key DESC LIMIT ?"));
  entries->bind(static_cast<std::int64_t>(key), kMaxTriageEntries);
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, entries->step());
    if (!is_row) break;
    detail.history.push_back({entries->integer(0), entries->text(1), entries->text(2),
                              entries->text(3), entries->text(4), entries->integer(5)});
  }
  entries->reset();
  return detail;
}

Result<FindingCounts> query_finding_counts(Database& database) {
  FindingCounts counts;
  for (const auto& [sql, count] :
       {std::pair{"SELECT count(*) FROM findings WHERE resolved_ns = 0", &counts.open},
        std::pair{"SELECT count(*) FROM findings WHERE muted_until_ns > 0 AND resolved_ns = 0",
                  &counts.muted},
        std::pair{"SELECT count(*) FROM findings WHERE acknowledged_ns > 0 AND resolved_ns = 0"
                  " AND muted_until_ns = 0",
                  &counts.acknowledged}}) {
    ASSAY_ASSIGN(Statement * query, database.prepare(sql));
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (is_row) *count = static_cast<std::uint64_t>(query->integer(0));
    query->reset();
  }
  return counts;
}

}  // namespace assay::collector
