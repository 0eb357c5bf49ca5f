// SPDX-License-Identifier: Apache-2.0
// StoreWriter on the one writing connection.
#pragma once

#include <map>

#include "collector/core/store.h"
#include "common/sqlite/database.h"

namespace assay::collector {

/// Lives as long as its connection; used by one thread at a time.
class SqliteWriter final : public StoreWriter {
 public:
  explicit SqliteWriter(sqlite::Database& database) : database_(database) {}
  /// Drops what is remembered of rows: a transaction was undone.
  void forget() { node_ids_.clear(); }

  Result<void> attempt(const std::function<Result<void>()>& work) override;
  Result<NodeId> node_id(const NodeKey& node) override;
  Result<void> save_node(const NodeView& node) override;
  Result<std::optional<EpochRow>> find_epoch(NodeId node, const Epoch& epoch) override;
  Result<void> save_epoch(NodeId node, const Epoch& epoch, const EpochRow& row) override;
  Result<std::optional<EpochRow>> newest_other_epoch(NodeId node, const Epoch& epoch) override;
  Result<NodeState> node_state(NodeId node) override;
  Result<void> save_node_state(NodeId node, const NodeState& state) override;
  Result<std::vector<NodeId>> ending_nodes(int limit) override;

  Result<std::optional<StackRow>> find_stack(NodeId node, const StackDigest& digest) override;
  Result<std::vector<StackDigest>> undescribed_stacks(NodeId node, int limit) override;
  Result<StackId> add_stack(NodeId node, const StackDigest& digest) override;
  Result<void> describe_stack(StackId id, NodeId node, const catalog::Stack& stack) override;
  Result<StackRow> stack_row(StackId id) override;
  Result<catalog::Stack> load_stack(StackId id) override;
  Result<void> set_verdict(const StackRow& before, const catalog::Verdict& verdict,
                           std::uint64_t round) override;
  Result<void> confirm_verdict(StackId id, std::uint64_t catalog_sequence,
                               std::uint64_t round) override;
  Result<std::vector<StackId>> stacks_to_judge(std::uint64_t round, int limit) override;
  Result<void> set_unsettled(StackId id, std::optional<RunKey> after) override;
  Result<std::vector<UnsettledStack>> unsettled_stacks(int limit) override;

  Result<std::optional<RunKey>> add_run(const NewRun& run) override;
  Result<std::optional<OpenRun>> find_run(NodeId node, const RunId& run_id) override;
  Result<std::vector<OpenRun>> open_runs_on(StackId stack, RunKey after, int limit) override;
  Result<void> end_run(const OpenRun& run, std::int64_t ended_ns, bool is_approximate,
                       std::int64_t told_ns) override;
  Result<void> reopen_run(const OpenRun& run) override;
  Result<void> set_told_in(RunKey run, std::uint64_t state) override;
  Result<std::vector<OpenRun>> untold_runs(NodeId node, std::uint64_t state, int limit) override;
  Result<void> name_run(RunKey run, const ContainerNames& names) override;
  Result<void> set_kind(RunKey run, const std::string& kind) override;
  Result<void> set_recognition(RunKey run, const catalog::Recognition& recognition) override;
  Result<void> set_claim_conflicts(RunKey run, const std::vector<std::string>& conflicts) override;
  Result<void> set_view(RunKey run, const catalog::View& view) override;
  Result<void> move_runs(StackId from, StackId to, Moved moved) override;
  Result<void> move_run(const OpenRun& run, StackId to) override;
  Result<ContainerNames> run_names(RunKey run) override;
  Result<bool> has_ruled_runs(StackId stack) override;
  Result<void> set_run_state(const OpenRun& run) override;
  Result<std::vector<OpenRun>> overdue_runs(std::int64_t now_ns, int limit) override;
  Result<std::optional<std::int64_t>> next_overdue_ns() override;
  Result<void> add_exec(RunKey run, const Exec& exec) override;

  Result<std::vector<OpenFinding>> open_findings(RunKey run) override;
  Result<std::vector<OpenFinding>> open_node_findings(NodeId node,
                                                      catalog::FindingKind kind) override;
  Result<bool> had_finding(RunKey run, catalog::FindingKind kind,
                           std::string_view subject) override;
  Result<void> add_finding(const NewFinding& finding) override;
  Result<void> set_finding_reason(FindingKey finding, std::string_view reason,
                                  std::int64_t changed_ns) override;
  Result<void> set_finding_reason(const std::string& finding_id, std::string_view reason,
                                  std::int64_t changed_ns) override;
  Result<void> resolve_finding(FindingKey finding, std::int64_t resolved_ns,
                               std::string_view reason) override;
  Result<TriagedFinding> triaged_finding(const std::string& id) override;
  Result<TriagedFinding> triaged_finding(FindingKey finding) override;
  Result<void> set_triage(FindingKey finding, const TriageState& state) override;
  Result<void> add_triage_entry(FindingKey finding, const TriageEntry& entry) override;
  Result<std::vector<FindingKey>> ended_mutes(std::int64_t now_ns, int limit) override;

  Result<void> add_token(const TokenRow& token) override;
  Result<void> revoke_token(const std::string& id, std::int64_t now_ns,
                            const std::string& by) override;
  Result<void> set_token_used(const std::string& id, std::int64_t used_ns) override;
  Result<void> forget_tokens(std::int64_t before_ns) override;

  Result<void> set_file_set_state(StackId id, FileSetState state, std::size_t first_layer) override;
  Result<void> save_file_set(StackId id, const FileSetAnswer& answer) override;
  Result<std::optional<FileSetAnswer>> find_file_set(StackId id) override;
  Result<std::vector<FileSetWish>> wanted_file_sets(NodeId node, int limit) override;
  Result<std::optional<catalog::Containment>> find_containment(StackId id,
                                                               const Sha256& key) override;
  Result<void> save_containment(StackId id, const Sha256& key,
                                const catalog::Containment& found) override;
  Result<std::string> base_file_set(const FileSetDigest& digest) override;

  Result<std::optional<ScanKey>> add_scan(const ScanView& scan) override;
  Result<std::optional<ScanView>> find_scan(const catalog::BaseId& base,
                                            const Sha256& digest) override;
  Result<void> set_scan_counts(ScanKey scan, const ScanCounts& counts) override;
  Result<void> add_scan_findings(ScanKey scan, const std::vector<StoredFinding>& findings) override;
  Result<std::vector<StoredFinding>> scan_findings(ScanKey scan) override;
  Result<void> set_applicability(ScanKey scan, std::size_t position,
                                 const StoredFinding& finding) override;
  Result<std::vector<ScanKey>> scans_of(const catalog::BaseId& base) override;
  Result<void> add_vex_statements(ScanKey document,
                                  const std::vector<catalog::VexStatement>& statements) override;
  Result<std::vector<catalog::VexStatement>> vex_statements(const catalog::BaseId& base) override;

  Result<AgedRows> remove_aged(Aged kind, std::int64_t before_ns, const AgedCursor& after,
                               int limit) override;

  Result<void> append_catalog(const CatalogEntry& entry) override;
  Result<void> set_round(const JudgingRound& round) override;
  Result<void> audit(const AuditEntry& entry) override;

  Result<void> save_join_token(const JoinToken& token) override;
  Result<void> remove_join_token(const std::string& id) override;
  Result<void> save_identity(const NodeIdentity& identity) override;

 private:
  template <typename... Values>
  Result<void> change(std::string_view sql, const Values&... values) {
    ASSAY_ASSIGN(sqlite::Statement * statement, database_.prepare(sql));
    return statement->bind(values...).run();
  }
  Result<std::vector<OpenFinding>> read_findings(sqlite::Statement& query);
  Result<std::vector<OpenRun>> read_runs(sqlite::Statement& query);
  Result<void> count_running(StackId stack, std::int64_t change_by);

  sqlite::Database& database_;
  std::map<NodeKey, NodeId> node_ids_;
};

}  // namespace assay::collector
