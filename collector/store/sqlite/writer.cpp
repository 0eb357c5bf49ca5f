// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/writer.h"

#include "collector/store/sqlite/digest_column.h"
#include "collector/store/sqlite/stack_rows.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

using sqlite::Statement;

template <typename Id>
std::int64_t number(Id id) {
  return static_cast<std::int64_t>(id);
}

}  // namespace

Result<void> SqliteWriter::attempt(const std::function<Result<void>()>& work) {
  ASSAY_TRY(database_.execute("SAVEPOINT attempt"));
  auto done = work();
  if (!done) {
    forget();
    ASSAY_TRY(database_.execute("ROLLBACK TO attempt"));
  }
  ASSAY_TRY(database_.execute("RELEASE attempt"));
  return done;
}

Result<std::optional<StackRow>> SqliteWriter::find_stack(NodeId node, const StackDigest& digest) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT stack_id FROM stacks WHERE node_id=? AND digest=?"));
  ASSAY_ASSIGN(const bool is_there,
               query->bind(number(node), Statement::Blob{digest.raw()}).step());
  if (!is_there) return std::optional<StackRow>();
  const StackId id{query->integer(0)};
  query->reset();
  ASSAY_ASSIGN(StackRow row, stack_row(id));
  return std::optional<StackRow>(std::move(row));
}

Result<std::vector<StackDigest>> SqliteWriter::undescribed_stacks(NodeId node, int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT digest FROM stacks WHERE node_id=? AND is_described=0"
                                 " ORDER BY stack_id DESC LIMIT ?"));
  query->bind(number(node), limit);
  std::vector<StackDigest> digests;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ASSAY_ASSIGN(const StackDigest digest, StackDigest::from_raw(query->text(0)));
    digests.push_back(digest);
  }
  query->reset();
  return digests;
}

Result<StackId> SqliteWriter::add_stack(NodeId node, const StackDigest& digest) {
  ASSAY_TRY(change("INSERT INTO stacks(node_id, digest) VALUES(?,?)", number(node),
                   Statement::Blob{digest.raw()}));
  return StackId{database_.last_insert_id()};
}

Result<void> SqliteWriter::describe_stack(StackId id, NodeId node, const catalog::Stack& stack) {
  return save_description(database_, id, node, stack);
}

Result<StackRow> SqliteWriter::stack_row(StackId id) {
  ASSAY_ASSIGN(
      Statement * query,
      database_.prepare("SELECT s.is_described, s.judged_round, " + std::string(kVerdictColumns) +
                        ", s.file_set_state, s.file_set_from, s.evidence FROM stacks s"
                        " WHERE stack_id=?"));
  ASSAY_ASSIGN(const bool is_there, query->bind(number(id)).step());
  if (!is_there) return Error{ErrorCode::kNotFound, "there is no such stack"};
  StackRow row{id, query->integer(0) != 0, static_cast<std::uint64_t>(query->integer(1)), {}};
  ASSAY_ASSIGN(row.verdict, read_verdict(*query, 2));
  row.file_set = static_cast<FileSetState>(query->integer(2 + kVerdictColumnCount));
  row.file_set_from = static_cast<std::size_t>(query->integer(3 + kVerdictColumnCount));
  ASSAY_ASSIGN(row.evidence, read_digest<EvidenceDigest>(*query, 4 + kVerdictColumnCount));
  query->reset();
  ASSAY_ASSIGN(row.verdict.matches, load_matches(database_, id));
  return row;
}

Result<catalog::Stack> SqliteWriter::load_stack(StackId id) {
  return load_description(database_, id);
}

Result<void> SqliteWriter::set_verdict(const StackRow& before, const catalog::Verdict& verdict,
                                       std::uint64_t round) {
  return save_verdict(database_, before, verdict, round);
}

Result<void> SqliteWriter::confirm_verdict(StackId id, std::uint64_t catalog_sequence,
                                           std::uint64_t round) {
  return change("UPDATE stacks SET judged_round=?, catalog_sequence=? WHERE stack_id=?", round,
                catalog_sequence, number(id));
}

Result<std::vector<StackId>> SqliteWriter::stacks_to_judge(std::uint64_t round, int limit) {
  std::vector<StackId> stacks;
  for (const char* sql :
       {"SELECT stack_id FROM stacks INDEXED BY stacks_to_judge_running WHERE is_described = 1"
        " AND running > 0 AND judged_round < ? LIMIT ?",
        "SELECT stack_id FROM stacks WHERE is_described = 1 AND judged_round < ? LIMIT ?"}) {
    ASSAY_ASSIGN(Statement * query, database_.prepare(sql));
    query->bind(round, limit);
    for (;;) {
      ASSAY_ASSIGN(const bool is_row, query->step());
      if (!is_row) break;
      stacks.push_back(StackId{query->integer(0)});
    }
    query->reset();
    if (!stacks.empty()) break;
  }
  return stacks;
}

Result<void> SqliteWriter::set_unsettled(StackId id, std::optional<RunKey> after) {
  if (!after) return change("DELETE FROM unsettled_stacks WHERE stack_id=?", number(id));
  return change(
      "INSERT INTO unsettled_stacks(stack_id, after_run_key) VALUES(?,?)"
      " ON CONFLICT DO UPDATE SET after_run_key=excluded.after_run_key",
      number(id), number(*after));
}

Result<std::vector<UnsettledStack>> SqliteWriter::unsettled_stacks(int limit) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT stack_id, after_run_key FROM unsettled_stacks LIMIT ?"));
  query->bind(limit);
  std::vector<UnsettledStack> stacks;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    stacks.push_back({StackId{query->integer(0)}, RunKey{query->integer(1)}});
  }
  query->reset();
  return stacks;
}

Result<std::vector<OpenFinding>> SqliteWriter::read_findings(Statement& query) {
  std::vector<OpenFinding> findings;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query.step());
    if (!is_row) break;
    OpenFinding finding{
        FindingKey{query.integer(0)}, {}, query.text(2), query.text(3), query.text(4)};
    ASSAY_ASSIGN(finding.kind, catalog::parse_finding_kind(query.text(1)));
    findings.push_back(std::move(finding));
  }
  query.reset();
  return findings;
}

Result<std::vector<OpenFinding>> SqliteWriter::open_findings(RunKey run) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT finding_key, kind, subject, reason, muted_as FROM findings"
                                 " WHERE run_key=? AND resolved_ns=0"));
  return read_findings(query->bind(number(run)));
}

Result<std::vector<OpenFinding>> SqliteWriter::open_node_findings(NodeId node,
                                                                  catalog::FindingKind kind) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT finding_key, kind, subject, reason, muted_as FROM findings"
                                 " WHERE node_id=? AND kind=? AND run_key IS NULL"
                                 " AND resolved_ns=0"));
  return read_findings(query->bind(number(node), catalog::to_string(kind)));
}

Result<bool> SqliteWriter::had_finding(RunKey run, catalog::FindingKind kind,
                                       std::string_view subject) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT 1 FROM findings WHERE run_key=? AND kind=? AND subject=?"
                                 " LIMIT 1"));
  ASSAY_ASSIGN(const bool had, query->bind(number(run), catalog::to_string(kind), subject).step());
  query->reset();
  return had;
}

Result<void> SqliteWriter::add_finding(const NewFinding& finding) {
  std::optional<std::int64_t> run;
  if (finding.run) run = number(*finding.run);
  return change(
      "INSERT INTO findings(finding_id, kind, subject, reason, opened_ns, changed_ns, resolved_ns,"
      " resolved_reason, node_id, run_key, base) VALUES(?,?,?,?,?,?,?,?,?,?,?)",
      finding.finding_id, catalog::to_string(finding.kind), finding.subject, finding.reason,
      finding.opened_ns, finding.opened_ns, finding.resolved_ns, finding.resolved_reason,
      number(finding.node), run, finding.base);
}

Result<void> SqliteWriter::set_finding_reason(FindingKey finding, std::string_view reason,
                                              std::int64_t changed_ns) {
  return change("UPDATE findings SET reason=?, changed_ns=? WHERE finding_key=?", reason,
                changed_ns, number(finding));
}

Result<void> SqliteWriter::set_finding_reason(const std::string& finding_id,
                                              std::string_view reason, std::int64_t changed_ns) {
  return change("UPDATE findings SET reason=?, changed_ns=? WHERE finding_id=?", reason, changed_ns,
                finding_id);
}

Result<void> SqliteWriter::resolve_finding(FindingKey finding, std::int64_t resolved_ns,
                                           std::string_view reason) {
  return change(
      "UPDATE findings SET resolved_ns=?, changed_ns=?, resolved_reason=? WHERE finding_key=?",
      resolved_ns, resolved_ns, reason, number(finding));
}

Result<void> SqliteWriter::append_catalog(const CatalogEntry& entry) {
  if (!entry.statement.empty())
    ASSAY_TRY(change(
        "INSERT INTO catalog_log(sequence, statement, submitted_by, received_ns) VALUES(?,?,?,?)",
        entry.sequence, Statement::Blob{entry.statement}, entry.submitted_by, entry.received_ns));
  for (std::size_t i = 0; i < entry.roots.size(); ++i)
    ASSAY_TRY(change(
        "INSERT INTO catalog_roots(version, root, submitted_by, received_ns) VALUES(?,?,?,?)",
        std::uint64_t{entry.first_root + i + 1}, Statement::Blob{entry.roots[i]},
        entry.submitted_by, entry.received_ns));
  for (const std::string& file_set : entry.file_sets)
    ASSAY_TRY(change("INSERT INTO base_file_sets(digest, files) VALUES(?,?) ON CONFLICT DO NOTHING",
                     Statement::Blob{sha256(file_set).raw()}, Statement::Blob{file_set}));
  return change(
      "INSERT INTO catalog_head(id, head) VALUES(1,?)"
      " ON CONFLICT DO UPDATE SET head=excluded.head",
      Statement::Blob{entry.head});
}

Result<void> SqliteWriter::set_round(const JudgingRound& round) {
  return change("UPDATE judging SET round=?, catalog_sequence=?, began_ns=?", round.round,
                round.catalog_sequence, round.began_ns);
}

Result<void> SqliteWriter::audit(const AuditEntry& entry) {
  return change(
      "INSERT INTO audit_log(time_ns, actor, action, subject, outcome, detail, peer)"
      " VALUES(?,?,?,?,?,?,?)",
      entry.time_ns, entry.actor, entry.action, entry.subject, entry.outcome, entry.detail,
      entry.peer);
}

}  // namespace assay::collector
