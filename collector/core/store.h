// SPDX-License-Identifier: Apache-2.0
// The port behind which all state is kept. Every backend passes
// tests/unit/collector/store_contract.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/enrolment.h"
#include "collector/core/scans.h"
#include "collector/core/token.h"
#include "collector/core/views.h"
#include "common/base/result.h"
#include "common/catalog/log.h"

namespace assay::collector {

inline constexpr int kMaxEpochs = 64;  ///< kept of one node

// Keys of rows, one type per table.
enum class NodeId : std::int64_t {};
enum class StackId : std::int64_t {};
enum class RunKey : std::int64_t {};
enum class FindingKey : std::int64_t {};

/// Whether the file set of a stack is needed, and there.
enum class FileSetState {
  kNotNeeded = 0,
  kWanted = 1,  ///< asked for, on this and on every later connection
  kThere = 2,
  kGone = 3,  ///< the node could not make it; asked for again when a run starts on the stack
};

struct StackRow {
  StackId id{};
  bool is_described = false;       ///< false: only its digest is known yet
  std::uint64_t judged_round = 0;  ///< 0: never judged
  catalog::Verdict verdict = {};
  FileSetState file_set = FileSetState::kNotNeeded;
  std::size_t file_set_from = 0;                ///< the first layer that is wanted or there
  std::optional<EvidenceDigest> evidence = {};  ///< none: described by an earlier version
};

/// A file set that a node should make.
struct FileSetWish {
  StackDigest stack;
  std::size_t first_layer = 0;  ///< from the bottom, injected ones counted
  bool operator==(const FileSetWish&) const = default;
};

/// A stack with more open runs than one transaction settles: those up to `after` are done.
struct UnsettledStack {
  StackId id{};
  RunKey after{};
};

/// A run whose findings may still change: it runs, or it ended while its verdict was pending.
struct OpenRun {
  RunKey key{};
  StackId stack{};
  NodeId node{};
  RunId run_id;
  std::int64_t started_ns = 0;
  std::int64_t ended_ns = 0;  ///< 0 = running
  bool is_open = true;
  bool is_overdue = false;
  std::int64_t overdue_at_ns = 0;  ///< when a pending verdict becomes `unverified`, 0 = never
  std::vector<std::string> claim_conflicts = {};  ///< as RunNamed tells them
  std::string exemption = {};  ///< of the policy, that keeps a finding on it closed; "" = none
  std::string masked = {};     ///< masked_reason() of what it sees of its base; "" = nothing is
  std::string kind = {};       ///< container, sandbox, …
  std::string rogue = {};      ///< rogue_reason() of who knows it; "" = somebody does
  std::vector<std::string> identity_conflicts = {};  ///< of the same

  /// Something says that it is not what its names say.
  bool is_contradicted() const { return !claim_conflicts.empty() || !identity_conflicts.empty(); }
};

struct NewRun {
  NodeId node{};
  StackId stack{};
  const RunStarted* start = nullptr;
  bool verdict_differs = false;  ///< the agent judged otherwise at the same catalog sequence
  std::uint64_t told_in = 0;     ///< number of the full state that told of it last
};

/// What is committed of one outbox of an agent.
struct EpochRow {
  std::uint64_t acknowledged = 0;  ///< everything up to here is committed, or will never come
  std::int64_t last_event_ns = 0;  ///< time of the newest event, by the node's clock; 0 = none
};

/// What is known of the full states of one node: whether one is wanted, how far the telling is, and
/// what it repaired (docs/formats/store_schema.md).
struct NodeState {
  std::string boot_id;        ///< of the agent's last connection
  std::uint64_t request = 0;  ///< number of the newest request
  bool is_wanted = false;     ///< it has not been answered
  std::string wanted_because;
  std::uint64_t state = 0;     ///< number of the newest state that began
  bool is_telling = false;     ///< it has not been completed
  bool is_torn = false;        ///< events are missing inside it
  bool is_ending = false;      ///< complete, but runs that it did not tell are left to end
  std::int64_t state_ns = 0;   ///< when it began, by the node's clock
  std::uint64_t told = 0;      ///< runs told in it
  std::uint64_t added = 0;     ///< of them, those that were not known
  std::uint64_t reopened = 0;  ///< and those that were held for ended
  std::uint64_t ended = 0;     ///< runs that it did not tell and that ended therefore
  std::string finding_id;      ///< of the evidence-gap that it answers, "" = none
  std::string gap;             ///< that finding's reason without the outcome
  std::int64_t gap_from_ns = 0;
  std::uint64_t missing = 0;  ///< events that are known to be missing
  bool operator==(const NodeState&) const = default;
};

struct OpenFinding {
  FindingKey key{};
  catalog::FindingKind kind{};
  std::string subject;
  std::string reason;
  std::string muted_as = {};  ///< TriageState::muted_as; "" = not muted
};

/// A finding as triage sees it.
struct TriagedFinding {
  FindingKey key{};
  std::string finding_id;
  catalog::FindingKind kind{};
  std::int64_t resolved_ns = 0;
  TriageState triage;
  std::optional<StackId> stack = {};  ///< of its run; none: a finding on a node
};

struct NewFinding {
  std::string finding_id;
  catalog::FindingKind kind{};
  std::string subject;
  std::string reason;
  std::string base;
  NodeId node{};
  std::optional<RunKey> run;  ///< none: a finding on the node
  std::int64_t opened_ns = 0;
  std::int64_t resolved_ns = 0;  ///< 0 = open
  std::string resolved_reason;
};

struct AuditEntry {
  std::int64_t time_ns = 0;
  std::string actor;    ///< user:NAME, node:CLUSTER/NAME, collector
  std::string action;   ///< catalog.submit, query, agent.connect …
  std::string subject;  ///< what it was done to
  std::string outcome;  ///< done, refused
  std::string detail;
  std::string peer = {};  ///< Actor::peer
};

/// Kinds of data that are over some day, in the order in which they go: findings before their runs.
enum class Aged { kExecs, kFindings, kRuns, kScans, kAudit };
inline constexpr std::array kAgedKinds{Aged::kExecs, Aged::kFindings, Aged::kRuns, Aged::kScans,
                                       Aged::kAudit};
std::string_view to_string(Aged kind);

/// A place among the rows of a kind, oldest first.
struct AgedCursor {
  std::int64_t time_ns = 0;
  std::int64_t key = 0;
};

struct AgedRows {
  std::uint64_t removed = 0;
  std::optional<AgedCursor> next;  ///< none: no row is left that is old
};

struct CatalogEntry {
  std::uint64_t sequence = 0;  ///< of the log with it
  std::string statement;       ///< "": only head or roots are new
  std::string head;
  std::string submitted_by;
  std::int64_t received_ns = 0;
  std::vector<std::string> file_sets = {};  ///< of the bases in it, as encoded
  std::vector<std::string> roots = {};      ///< new versions of the root
  std::size_t first_root = 0;               ///< how many versions were there before
  std::string submitted_from = {};          ///< Actor::peer
};

/// A round of judging: begun by a change of the catalog or by a date in it passing.
struct JudgingRound {
  std::uint64_t round = 1;
  std::uint64_t catalog_sequence = 0;
  std::int64_t began_ns = 0;
};

/// Rows of one write transaction. Only valid inside Store::write, on its thread. Every function:
/// errors kUnavailable (I/O, full), kCorrupt, kInternal.
class StoreWriter {
 public:
  virtual ~StoreWriter() = default;
  /// Runs `work`; when it fails everything it wrote is undone and the transaction goes on.
  virtual Result<void> attempt(const std::function<Result<void>()>& work) = 0;

  virtual Result<NodeId> node_id(const NodeKey& node) = 0;  ///< adds the row when it is new
  virtual Result<void> save_node(const NodeView& node) = 0;
  virtual Result<std::optional<EpochRow>> find_epoch(NodeId node, const Epoch& epoch) = 0;
  /// Adds or replaces; of one node only the newest kMaxEpochs are kept.
  virtual Result<void> save_epoch(NodeId node, const Epoch& epoch, const EpochRow& row) = 0;
  /// Of the node's epochs but `epoch`, the one whose row was added last.
  virtual Result<std::optional<EpochRow>> newest_other_epoch(NodeId node, const Epoch& epoch) = 0;
  virtual Result<NodeState> node_state(NodeId node) = 0;  ///< all zero when there is none
  virtual Result<void> save_node_state(NodeId node, const NodeState& state) = 0;
  virtual Result<std::vector<NodeId>> ending_nodes(int limit) = 0;  ///< NodeState::is_ending

  virtual Result<std::optional<StackRow>> find_stack(NodeId node, const StackDigest& digest) = 0;
  /// Named by runs of `node`, but never described.
  virtual Result<std::vector<StackDigest>> undescribed_stacks(NodeId node, int limit) = 0;
  virtual Result<StackId> add_stack(NodeId node, const StackDigest& digest) = 0;
  virtual Result<void> describe_stack(StackId id, NodeId node, const catalog::Stack& stack) = 0;
  virtual Result<StackRow> stack_row(StackId id) = 0;
  virtual Result<catalog::Stack> load_stack(StackId id) = 0;
  /// `before`: the row as it stands in the store.
  virtual Result<void> set_verdict(const StackRow& before, const catalog::Verdict& verdict,
                                   std::uint64_t round) = 0;
  /// Only the round of a verdict that came out as before.
  virtual Result<void> confirm_verdict(StackId id, std::uint64_t catalog_sequence,
                                       std::uint64_t round) = 0;
  /// Described stacks that were last judged before `round`; those with running runs come first.
  virtual Result<std::vector<StackId>> stacks_to_judge(std::uint64_t round, int limit) = 0;

  /// Only the state; what was saved of a file set stays.
  virtual Result<void> set_file_set_state(StackId id, FileSetState state,
                                          std::size_t first_layer) = 0;
  /// Replaces what there was; the state becomes kThere, or kGone when it has a gap.
  virtual Result<void> save_file_set(StackId id, const FileSetAnswer& answer) = 0;
  /// `files` and `gap` as saved; nothing when there is none.
  virtual Result<std::optional<FileSetAnswer>> find_file_set(StackId id) = 0;
  virtual Result<std::vector<FileSetWish>> wanted_file_sets(NodeId node, int limit) = 0;
  /// What was found in the stack's file set under `key`: the bases, thresholds and layers that it
  /// depends on. Nothing when it was another key, or nothing was found yet.
  virtual Result<std::optional<catalog::Containment>> find_containment(StackId id,
                                                                       const Sha256& key) = 0;
  /// Of a stack with a file set.
  virtual Result<void> save_containment(StackId id, const Sha256& key,
                                        const catalog::Containment& found) = 0;
  /// A base's file set, encoded; "" when it is not there.
  virtual Result<std::string> base_file_set(const FileSetDigest& digest) = 0;

  /// The open runs on `id` after `after` still have to follow its verdict; none: all of them do.
  virtual Result<void> set_unsettled(StackId id, std::optional<RunKey> after) = 0;
  virtual Result<std::vector<UnsettledStack>> unsettled_stacks(int limit) = 0;

  virtual Result<std::optional<RunKey>> add_run(
      const NewRun& run) = 0;  ///< none: it is there already
  virtual Result<std::optional<OpenRun>> find_run(NodeId node, const RunId& run_id) = 0;
  /// By key, those after `after` only.
  virtual Result<std::vector<OpenRun>> open_runs_on(StackId stack, RunKey after, int limit) = 0;
  /// `told_ns`: by the collector's own clock; from then on the run is over for remove_aged().
  virtual Result<void> end_run(const OpenRun& run, std::int64_t ended_ns, bool is_approximate,
                               std::int64_t told_ns) = 0;
  /// Of a run that ended, and had not.
  virtual Result<void> reopen_run(const OpenRun& run) = 0;
  virtual Result<void> set_told_in(RunKey run, std::uint64_t state) = 0;
  /// Runs of `node` that have not ended and were last told before the state `state`.
  virtual Result<std::vector<OpenRun>> untold_runs(NodeId node, std::uint64_t state, int limit) = 0;
  virtual Result<void> name_run(RunKey run, const ContainerNames& names) = 0;
  virtual Result<void> set_kind(RunKey run, const std::string& kind) = 0;
  virtual Result<void> set_recognition(RunKey run, const catalog::Recognition& recognition) = 0;
  virtual Result<void> set_claim_conflicts(RunKey run,
                                           const std::vector<std::string>& conflicts) = 0;
  /// What the run sees of its base.
  virtual Result<void> set_view(RunKey run, const catalog::View& view) = 0;
  /// All runs on `from`, or only those that have not ended.
  enum class Moved { kAll, kRunning };
  virtual Result<void> move_runs(StackId from, StackId to, Moved moved) = 0;
  /// One run that has not ended.
  virtual Result<void> move_run(const OpenRun& run, StackId to) = 0;
  /// What the node calls the run's container.
  virtual Result<ContainerNames> run_names(RunKey run) = 0;
  /// Whether a rule of the policy on single runs may be about an open run on `stack`: it has an
  /// exemption, is a sandbox, or no runtime knows it.
  virtual Result<bool> has_ruled_runs(StackId stack) = 0;
  /// Writes is_open, is_overdue, overdue_at_ns and exemption of `run`.
  virtual Result<void> set_run_state(const OpenRun& run) = 0;
  virtual Result<std::vector<OpenRun>> overdue_runs(std::int64_t now_ns, int limit) = 0;
  virtual Result<std::optional<std::int64_t>> next_overdue_ns() = 0;
  virtual Result<void> add_exec(RunKey run, const Exec& exec) = 0;

  virtual Result<std::vector<OpenFinding>> open_findings(RunKey run) = 0;
  virtual Result<std::vector<OpenFinding>> open_node_findings(NodeId node,
                                                              catalog::FindingKind kind) = 0;
  /// Whether the run has ever had this finding.
  virtual Result<bool> had_finding(RunKey run, catalog::FindingKind kind,
                                   std::string_view subject) = 0;
  virtual Result<void> add_finding(const NewFinding& finding) = 0;
  virtual Result<void> set_finding_reason(FindingKey finding, std::string_view reason,
                                          std::int64_t changed_ns) = 0;
  virtual Result<void> set_finding_reason(const std::string& finding_id, std::string_view reason,
                                          std::int64_t changed_ns) = 0;
  virtual Result<void> resolve_finding(FindingKey finding, std::int64_t resolved_ns,
                                       std::string_view reason) = 0;
  /// By its id, or by how that begins. Errors: kNotFound, kInvalidArgument (several begin so).
  virtual Result<TriagedFinding> triaged_finding(const std::string& id) = 0;
  virtual Result<TriagedFinding> triaged_finding(FindingKey finding) = 0;
  virtual Result<void> set_triage(FindingKey finding, const TriageState& state) = 0;
  virtual Result<void> add_triage_entry(FindingKey finding, const TriageEntry& entry) = 0;
  /// Whose mute is over at `now_ns`, resolved ones too.
  virtual Result<std::vector<FindingKey>> ended_mutes(std::int64_t now_ns, int limit) = 0;

  virtual Result<void> add_token(const TokenRow& token) = 0;  ///< one that is there stays as it is
  virtual Result<void> revoke_token(const std::string& id, std::int64_t now_ns,
                                    const std::string& by) = 0;
  virtual Result<void> set_token_used(const std::string& id, std::int64_t used_ns) = 0;
  /// Those that expired before.
  virtual Result<void> forget_tokens(std::int64_t before_ns) = 0;

  /// Without its counts. None: this file is attached to this base already.
  virtual Result<std::optional<ScanKey>> add_scan(const ScanView& scan) = 0;
  virtual Result<std::optional<ScanView>> find_scan(const catalog::BaseId& base,
                                                    const Sha256& digest) = 0;
  virtual Result<void> set_scan_counts(ScanKey scan, const ScanCounts& counts) = 0;
  /// In order; once for each scan.
  virtual Result<void> add_scan_findings(ScanKey scan,
                                         const std::vector<StoredFinding>& findings) = 0;
  virtual Result<std::vector<StoredFinding>> scan_findings(ScanKey scan) = 0;
  /// Replaces `applicability` and `vex_said` of the finding at `position`.
  virtual Result<void> set_applicability(ScanKey scan, std::size_t position,
                                         const StoredFinding& finding) = 0;
  /// All scans of the base but VEX documents.
  virtual Result<std::vector<ScanKey>> scans_of(const catalog::BaseId& base) = 0;
  virtual Result<void> add_vex_statements(ScanKey document,
                                          const std::vector<catalog::VexStatement>& statements) = 0;
  /// Of all documents on the base, in the order of their import; images are left out.
  virtual Result<std::vector<catalog::VexStatement>> vex_statements(
      const catalog::BaseId& base) = 0;

  /// Looks at `limit` rows of `kind` after `after` that are over since before `before_ns`, and
  /// removes those that nothing needs any more, with what hangs on them. Stays: what runs or is
  /// open, runs that have findings, the newest scan of each tool on a base, VEX documents. A stack
  /// goes with its last run.
  virtual Result<AgedRows> remove_aged(Aged kind, std::int64_t before_ns, const AgedCursor& after,
                                       int limit) = 0;

  virtual Result<void> append_catalog(const CatalogEntry& entry) = 0;
  virtual Result<void> set_round(const JudgingRound& round) = 0;
  virtual Result<void> audit(const AuditEntry& entry) = 0;

  /// Adds or replaces.
  virtual Result<void> save_join_token(const JoinToken& token) = 0;
  virtual Result<void> remove_join_token(const std::string& id) = 0;
  virtual Result<void> save_identity(const NodeIdentity& identity) = 0;
};

/// Thread-safe. Reads see what was committed before them. Reads block on disk.
class Store {
 public:
  virtual ~Store() = default;
  /// One transaction: durable (survives power loss) when this returns success, else nothing of it
  /// is left. One caller at a time: the commit loop.
  virtual Result<void> write(const std::function<Result<void>(StoreWriter&)>& work) = 0;
  /// The same for work that is found again and repeated after a crash: consistent at once, durable
  /// with the next write(). Saves one wait for the disk.
  virtual Result<void> write_repeatable(const std::function<Result<void>(StoreWriter&)>& work) = 0;

  virtual Result<catalog::SignedLog> load_catalog() = 0;
  /// Those of `digests` that are there, encoded.
  virtual Result<std::vector<std::string>> base_file_sets(
      const std::vector<FileSetDigest>& digests) = 0;
  virtual Result<JudgingRound> load_round() = 0;
  virtual Result<Enrolments> load_enrolments() = 0;
  virtual Result<std::vector<NodeView>> load_nodes() = 0;

  /// Newest first. `limit` rows at most (> 0).
  virtual Result<Page<RunView>> list_runs(const RunFilter& filter, std::optional<Cursor> after,
                                          int limit) = 0;
  virtual Result<Page<FindingView>> list_findings(const FindingFilter& filter,
                                                  std::optional<Cursor> after, int limit) = 0;
  /// Run id, container id (12 or more digits), or container name; the newest that answers to it.
  /// `node`: NAME or CLUSTER/NAME, "" for any. Errors: kNotFound.
  virtual Result<TraceView> trace(const std::string& target, const std::string& node) = 0;
  /// Running runs that a base (NAME:VERSION, or NAME for all its versions) is matched on.
  virtual Result<ImpactView> impact(const std::string& base) = 0;
  /// What is read of a stack when it is asked for. Good during the visit only.
  struct StackReader {
    std::function<Result<std::vector<RunningRun>>()> runs;
    std::function<Result<std::string>()> files;  ///< its file set, encoded; "" when it is not here
  };
  /// Calls `visit` with every described stack that something runs on. On one snapshot; takes
  /// seconds where 300,000 run.
  using VisitRunning = std::function<Result<void>(const RunningStack&, const StackReader&)>;
  virtual Result<void> visit_running(const VisitRunning& visit) = 0;
  /// The newest scan of every base that was scanned itself: what the policy's rules on scans are
  /// judged by; of equally old ones the one that was
  /// imported last.
  virtual Result<std::map<catalog::BaseId, catalog::ScanSummary>> latest_scans() = 0;
  /// By base, oldest first; VEX documents are left out, and scans of applications when only the
  /// newest ones are wanted. Errors: kLimitExceeded (more than kMaxListedScans).
  virtual Result<std::vector<ScanView>> list_scans(const ScanFilter& filter) = 0;
  /// By the name of a vulnerability or an alias, in any case of letters.
  virtual Result<WhereView> where(const std::string& vulnerability) = 0;
  /// By its id, or by how that begins. Errors: kNotFound, kInvalidArgument (several begin so).
  virtual Result<FindingDetailView> finding(const std::string& id) = 0;
  virtual Result<FindingCounts> finding_counts() = 0;
  virtual Result<std::vector<TokenRow>> load_tokens() = 0;
  /// The newest `limit` entries, newest first.
  virtual Result<std::vector<AuditEntry>> audit_log(int limit) = 0;
  virtual Result<Page<AuditEntry>> list_audit(const AuditFilter& filter,
                                              std::optional<Cursor> after, int limit) = 0;
};

}  // namespace assay::collector
