// SPDX-License-Identifier: Apache-2.0
// SqliteWriter's part about what people do: triage of findings, and their tokens.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/token_rows.h"
#include "collector/store/sqlite/triage_rows.h"
#include "collector/store/sqlite/writer.h"

namespace assay::collector {

using sqlite::Statement;

Result<TriagedFinding> SqliteWriter::triaged_finding(const std::string& id) {
  ASSAY_ASSIGN(const FindingKey key, find_finding_key(database_, id));
  return triaged_finding(key);
}

Result<TriagedFinding> SqliteWriter::triaged_finding(FindingKey finding) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT f.finding_id, f.kind, f.resolved_ns, r.stack_id, " +
                                 std::string(kTriageColumns) +
                                 " FROM findings f LEFT JOIN runs r ON r.run_key = f.run_key"
                                 " WHERE f.finding_key = ?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(static_cast<std::int64_t>(finding)).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "there is no such finding"};
  TriagedFinding found;
  found.key = finding;
  found.finding_id = query->text(0);
  ASSAY_ASSIGN(found.kind, catalog::parse_finding_kind(query->text(1)));
  found.resolved_ns = query->integer(2);
  if (!query->is_null(3)) found.stack = StackId{query->integer(3)};
  found.triage = read_triage(*query, 4);
  query->reset();
  return found;
}

Result<void> SqliteWriter::set_triage(FindingKey finding, const TriageState& state) {
  return change(
      "UPDATE findings SET acknowledged_by=?, acknowledged_ns=?, acknowledged_note=?, assignee=?,"
      " assigned_by=?, muted_by=?, muted_ns=?, muted_until_ns=?, muted_reason=?, muted_as=?,"
      " revision=? WHERE finding_key=?",
      state.acknowledged_by, state.acknowledged_ns, state.acknowledged_note, state.assignee,
      state.assigned_by, state.muted_by, state.muted_ns, state.muted_until_ns, state.muted_reason,
      state.muted_as, state.revision, static_cast<std::int64_t>(finding));
}

Result<void> SqliteWriter::add_triage_entry(FindingKey finding, const TriageEntry& entry) {
  return change(
      "INSERT INTO triage_history(finding_key, time_ns, actor, action, note, assignee,"
      " muted_until_ns) VALUES(?,?,?,?,?,?,?)",
      static_cast<std::int64_t>(finding), entry.time_ns, entry.actor, entry.action, entry.note,
      entry.assignee, entry.muted_until_ns);
}

Result<std::vector<FindingKey>> SqliteWriter::ended_mutes(std::int64_t now_ns, int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT finding_key FROM findings WHERE muted_until_ns > 0"
                                 " AND muted_until_ns <= ? LIMIT ?"));
  query->bind(now_ns, limit);
  std::vector<FindingKey> findings;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    findings.push_back(FindingKey{query->integer(0)});
  }
  query->reset();
  return findings;
}

Result<void> SqliteWriter::add_token(const TokenRow& token) {
  const TokenView& view = token.view;
  return change(
      "INSERT INTO tokens(token_id, name, role, scopes, hash, created_ns, created_by, expires_ns,"
      " last_used_ns, revoked_ns, revoked_by) VALUES(?,?,?,?,?,?,?,?,?,?,?)"
      " ON CONFLICT DO NOTHING",
      view.id, view.name, name_of(view.role), encode(texts_of(view.scopes)),
      Statement::Blob{token.hash.raw()}, view.created_ns, view.created_by, view.expires_ns,
      view.last_used_ns, view.revoked_ns, view.revoked_by);
}

Result<void> SqliteWriter::revoke_token(const std::string& id, std::int64_t now_ns,
                                        const std::string& by) {
  return change("UPDATE tokens SET revoked_ns=?, revoked_by=? WHERE token_id=? AND revoked_ns=0",
                now_ns, by, id);
}

Result<void> SqliteWriter::set_token_used(const std::string& id, std::int64_t used_ns) {
  return change("UPDATE tokens SET last_used_ns=? WHERE token_id=?", used_ns, id);
}

Result<void> SqliteWriter::forget_tokens(std::int64_t before_ns) {
  return change("DELETE FROM tokens WHERE expires_ns < ?", before_ns);
}

}  // namespace assay::collector
