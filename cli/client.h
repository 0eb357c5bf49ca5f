// SPDX-License-Identifier: Apache-2.0
// The collector as the commands see it. gRPC and the generated types stop in client.cpp.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/access_values.h"
#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/catalog/about.h"
#include "common/catalog/container_names.h"
#include "common/catalog/file_set.h"
#include "common/catalog/log.h"
#include "common/catalog/posture.h"
#include "common/catalog/recognition.h"
#include "common/catalog/scan_report.h"
#include "common/catalog/verification.h"
#include "common/catalog/view.h"

namespace assay::cli {

struct Connection {
  std::string address;               ///< HOST:PORT
  std::string ca_file;               ///< PEM: who may be the collector
  std::string cert_file;             ///< PEM: who we are, when there is no token
  std::string key_file;              ///< PEM
  std::string token = {};            ///< "": the certificate says who we are
  std::string ca_pem = {};           ///< instead of ca_file, the text itself
  std::chrono::seconds timeout{10};  ///< of one call
};

struct Process {
  std::uint32_t pid = 0;  ///< on its host
  std::optional<WallTime> started_at;
  std::string name;
};

using catalog::ContainerNames;

struct BaseMatch {
  std::string base;    ///< NAME:VERSION
  std::string status;  ///< a verdict's word
  std::string rung;
  std::uint32_t layers = 0;
  std::uint32_t first_layer = 0;  ///< 0: a prefix; else where above the bottom it begins
};

struct Verdict {
  std::string status;  ///< "" when the collector sent none
  std::string rung;
  std::vector<BaseMatch> matches;  ///< prefixes first, longest first
  std::string reason;
  std::vector<std::string> contradictions;
  std::uint32_t application_layers = 0;
  std::uint64_t catalog_sequence = 0;
};

struct Run {
  std::string run_id;
  std::string cluster;
  std::string node;
  std::string kind;
  bool is_late = false;
  std::optional<WallTime> started_at;
  std::optional<WallTime> ended_at;  ///< none while it runs
  ContainerNames names;
  Verdict verdict;
  std::optional<StackDigest> stack;
  std::uint32_t layers = 0;
  std::string executable;
  Process process;
  std::string cgroup_path;
  std::string exemption;  ///< of the policy, "" for none
};

struct Finding {
  std::string finding_id;
  std::string kind;
  std::string state;
  std::string subject;
  std::string reason;
  std::optional<WallTime> opened_at;
  std::optional<WallTime> changed_at;
  std::optional<WallTime> resolved_at;
  std::string resolved_reason;
  std::string cluster;
  std::string node;
  std::string run_id;
  ContainerNames names;
  std::string base;
  std::string triage;  ///< new, acknowledged, muted
  std::string acknowledged_by;
  std::optional<WallTime> acknowledged_at;
  std::string acknowledged_note;
  std::string assignee;
  std::string assigned_by;
  std::string muted_by;
  std::optional<WallTime> muted_at;
  std::optional<WallTime> muted_until;
  std::string muted_reason;
  std::uint64_t revision = 0;
};

struct TriageEntry {
  std::optional<WallTime> time;
  std::string actor;
  std::string action;
  std::string note;
  std::string assignee;
  std::optional<WallTime> muted_until;
};

struct FindingDetail {
  Finding finding;
  std::vector<TriageEntry> history;  ///< newest first
};

struct FindingChange {
  std::string finding;  ///< id, or how it begins
  std::string action;   ///< acknowledge, assign, unassign, mute, unmute, reopen
  std::string note;
  std::string assignee;
  std::optional<WallTime> muted_until;
  std::uint64_t revision = 0;  ///< that was seen; 0 = whatever it is
};

struct ChangedFinding {
  Finding finding;
  bool is_changed = false;
  std::string said;
};

/// A way in which an agent is not whole, and why.
struct Degradation {
  std::string mode;
  std::string reason;
};

struct Node {
  std::string cluster;
  std::string node;
  std::string state;  ///< connected, away, silent
  bool is_connected = false;
  std::optional<WallTime> last_seen_at;
  std::optional<WallTime> heartbeat_at;
  std::string address;
  std::string version;
  std::string kernel;
  std::string boot_id;
  std::optional<WallTime> started_at;  ///< of the agent
  std::string probe_state;
  std::string probe_detail;
  std::optional<WallTime> revoked_at;
  std::string revoked_by;
  std::string revoked_reason;
  std::optional<WallTime> certificate_expires_at;
  std::string trust;  ///< current, trust, behind, "" = not known
  bool probe_is_attached = false;
  bool probe_has_seen = false;
  std::uint64_t probe_sent = 0;
  std::uint64_t probe_lost = 0;  ///< records and events, all that was lost
  std::uint64_t lost_starts = 0;
  std::uint64_t lost_execs = 0;
  std::uint64_t recursion_misses = 0;
  std::uint64_t map_failures = 0;
  std::uint64_t queue_dropped = 0;
  std::uint64_t starts = 0;
  std::uint64_t late_starts = 0;
  std::uint64_t running = 0;
  std::uint64_t catalog_sequence = 0;
  bool catalog_is_stale = false;
  std::optional<WallTime> catalog_expires_at;
  std::uint64_t layers_pending = 0;
  std::uint64_t outbox_events = 0;
  std::uint64_t outbox_bytes = 0;
  std::uint64_t outbox_dropped = 0;
  std::optional<WallTime> outbox_oldest_at;
  std::uint64_t rss_bytes = 0;
  std::uint64_t cpu_ns = 0;
  std::uint64_t acknowledged = 0;
  std::optional<std::int64_t> clock_offset_ns;  ///< node's clock minus collector's
  bool is_state_wanted = false;
  std::vector<Degradation> degraded;
};

struct Layer {
  std::string file_system;
  std::uint64_t inode = 0;
  std::uint32_t generation = 0;
  std::optional<WallTime> born_at;
  std::optional<DiffId> claimed_diff_id;
  std::optional<ChainId> claimed_chain_id;
  bool is_claim_for_display = false;
  std::optional<DiffId> exact_diff_id;
  std::optional<ShapeDigest> shape;
  std::optional<ContentDigest> content;
  std::optional<DeletionsDigest> deletions;
  bool is_capped_at_shape = false;
  bool is_mutable = false;
  bool is_injected = false;
  std::string gap;
  std::string tampered;  ///< what was changed in it after it was first read
  std::string name;
  std::uint64_t entries = 0;
  std::uint64_t content_bytes = 0;
};

struct Exec {
  std::optional<WallTime> time;
  Process process;
  Process parent;
  std::uint32_t uid = 0;
  std::string executable;
  std::vector<std::string> arguments;
  bool arguments_truncated = false;
  bool is_from_upper = false;
  std::string origin;
  std::string path;
  bool is_interpreter = false;
};

struct RunOrigin {
  std::string cause;
  std::vector<Process> ancestors;  ///< nearest first
  std::vector<std::uint32_t> namespace_pids;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t mount_namespace = 0;
  std::uint64_t pid_namespace = 0;
  std::uint64_t user_namespace = 0;
  std::vector<std::string> arguments;
  bool arguments_truncated = false;
  std::string root_type;
  catalog::Login login;
  catalog::Posture posture;
};

/// How one base is in the files of a stack.
struct ContainedBase {
  std::string base;  ///< NAME:VERSION
  std::string platform;
  std::uint64_t files = 0;
  std::uint64_t present = 0;
  std::uint64_t changed = 0;
  std::uint64_t missing = 0;
  std::uint32_t share_permille = 0;
  std::string rival;
  std::uint64_t own_files = 0;
  std::uint64_t own_present = 0;
  bool is_contained = false;
  std::string why;
};

/// What the files of a stack tell, where its layers do not.
struct Containment {
  std::uint32_t first_layer = 0;
  bool is_awaited = false;
  std::string gap;
  std::uint64_t files = 0;
  std::vector<ContainedBase> bases;  ///< contained ones first; the runner-up last
  std::string why;
};

struct Trace {
  Run run;
  RunOrigin origin;
  std::vector<Layer> layers;  ///< bottom first
  std::string unsupported;    ///< why the root could not be read as layers
  catalog::About about;       ///< what the layers say of themselves: a claim
  std::vector<Exec> execs;
  std::vector<Finding> findings;
  std::vector<std::string> other_runs;
  std::uint64_t runs_on_same_stack = 0;
  std::optional<Containment> containment;
  catalog::View view;  ///< what it sees of its base's files
  catalog::Recognition recognition;
};

struct ImpactRow {
  std::string cluster;
  std::string node;
  std::string run_id;
  ContainerNames names;
  std::optional<WallTime> started_at;
};

/// The running runs on a base in one namespace that one owner answers for.
struct ImpactGroup {
  std::string pod_namespace;
  std::string owner;  ///< a contact or workload that labels name, "" = nobody
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::optional<WallTime> since;
};

/// Who runs a base now.
struct Impact {
  std::string base;
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::uint64_t running_total = 0;
  std::vector<ImpactRow> rows;  ///< at most 1,000
  std::uint32_t agents_connected = 0;
  std::uint32_t agents_on_sequence = 0;  ///< of them, those that hold catalog_sequence
  std::uint64_t catalog_sequence = 0;
  std::optional<WallTime> since;  ///< start of the oldest run on it
  std::uint64_t namespaces = 0;
  std::uint64_t owners = 0;
  std::vector<ImpactGroup> groups;  ///< the largest first, at most 1,000
};

/// Running runs of one namespace whose verdict another policy would change alike.
struct TrialGroup {
  std::string before;
  std::string after;
  std::string base;
  std::string pod_namespace;
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::string reason;
};

struct TrialFinding {
  std::string kind;
  std::string base;
  std::uint64_t opened = 0;
  std::uint64_t resolved = 0;
};

struct TrialRun {
  std::string cluster;
  std::string node;
  std::string run_id;
  ContainerNames names;
  std::string before;
  std::string after;
  std::string reason;
};

/// What another policy would make of what runs now.
struct PolicyTrial {
  std::uint64_t running = 0;
  std::uint64_t changed = 0;
  std::vector<TrialGroup> groups;
  std::vector<TrialFinding> findings;
  std::vector<TrialRun> runs;  ///< at most 1,000
  std::uint64_t not_searched = 0;
  std::uint64_t catalog_sequence = 0;
};

/// Layers that images without a base have in common.
struct Proposal {
  std::string id;
  std::vector<Layer> layers;  ///< bottom first
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::uint64_t images = 0;
  std::vector<std::string> example_images;
  catalog::About about;
  std::string below;
  bool is_whole = false;
};

struct Discovery {
  std::uint64_t running = 0;
  std::uint64_t not_read = 0;
  std::vector<Proposal> proposals;
};

struct Submitted {
  std::uint64_t sequence = 0;
  std::uint32_t agents_connected = 0;
};

/// One scan of one base, as the collector keeps it.
struct Scan {
  std::string base;              ///< NAME:VERSION
  std::optional<Sha256> digest;  ///< of the file
  std::string format;
  std::string tool;
  std::string tool_version;
  std::string scope;       ///< base, application
  std::string matched_by;  ///< image-id, manifest-digest, diff-ids, name
  std::string image;
  std::optional<ConfigDigest> image_id;
  std::optional<WallTime> scanned_at;
  bool is_time_said = false;
  std::optional<WallTime> imported_at;
  std::string imported_by;
  catalog::SeverityCounts counts;  ///< of the base
  std::uint64_t excluded = 0;      ///< of the base, that do not bear on it
  std::uint64_t application = 0;   ///< of layers above it
  std::uint64_t unattributed = 0;
};

struct ImportedScan {
  Scan scan;
  bool is_new = false;
  std::uint64_t changed_scans = 0;  ///< by a VEX document
};

struct ScanImport {
  catalog::ScanReport report;
  Sha256 digest;     ///< of the file
  std::string base;  ///< "" to find it
  std::optional<WallTime> scanned_at;
  bool accepts_empty = false;
  bool is_dry_run = false;
};

/// A finding of the newest scan of one tool.
struct VulnerableBase {
  Scan scan;
  std::string id;
  std::vector<std::string> aliases;
  std::string severity;
  std::string severity_said;
  std::string package;
  std::string installed;
  std::string fixed;
  std::string origin;         ///< base, application, unknown
  std::string applicability;  ///< after VEX
  std::string status_said;    ///< by the report
  std::string vex_said;
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
};

struct VulnerableRun {
  std::string cluster;
  std::string node;
  std::string run_id;
  ContainerNames names;
  std::optional<WallTime> started_at;
  std::string base;
  std::string origin;
};

/// Where a vulnerability is.
struct Where {
  std::vector<VulnerableBase> findings;
  std::vector<VulnerableRun> runs;
  bool is_cut = false;
};

struct RunFilter {
  bool include_ended = false;
  std::string node;
  std::string base;
  std::string verdict;
  std::string container;
  std::vector<std::string> posture;
  std::size_t limit = 0;  ///< 0: all
};

struct FindingFilter {
  bool include_resolved = false;
  std::string node;
  std::string kind;
  std::string base;
  std::size_t limit = 0;  ///< 0: all
  bool include_muted = false;
  std::string triage;
  std::string assignee;
};

/// Of a question that looks at everything that runs.
inline constexpr std::chrono::seconds kWhatIfTimeout{120};

/// One connection over TLS. Every call blocks up to the connection's timeout (lists: per page).
///
/// Errors of all calls: kUnavailable (nobody answers, or too late), kUntrusted (a certificate, role
/// or signature was refused), kInvalidArgument, kNotFound, kLimitExceeded, kInternal; the message
/// names the address and what to check. Not thread-safe.
class Client {
 public:
  /// Reads the three files; connects with the first call.
  /// Errors: kInvalidArgument (a setting is missing, a file is not there or not readable).
  static Result<Client> create(const Connection& connection);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  Result<std::vector<Run>> list_runs(const RunFilter& filter);
  Result<std::vector<Finding>> list_findings(const FindingFilter& filter);
  Result<std::vector<Node>> list_nodes();
  Result<CreatedJoinToken> create_join_token(const JoinTokenWish& wish);
  Result<std::vector<JoinToken>> list_join_tokens();
  Result<JoinToken> revoke_join_token(const std::string& id);
  Result<NodeAccessChange> revoke_node(const std::string& node, const std::string& reason);
  Result<NodeAccessChange> restore_node(const std::string& node);
  Result<NodeAccessChange> forget_node(const std::string& node);
  Result<std::vector<Authority>> authorities();
  /// Has the agent of `node` (NAME or CLUSTER/NAME) read layers again. `on_event` is called on the
  /// caller's thread, the last time with VerifyDone, which holds the errors of the node itself.
  /// Blocks for `timeout` and some seconds at most. May be called by several threads at once.
  Result<void> verify(const std::string& node, const std::string& target,
                      std::chrono::milliseconds timeout,
                      const std::function<void(const catalog::VerifyEvent&)>& on_event);
  /// `target`: run id, container id (12 digits are enough) or container name. `node`: NAME or
  /// CLUSTER/NAME, "" for any.
  Result<Trace> get_trace(std::string_view target, std::string_view node);
  /// The whole log as the collector has it: not verified.
  Result<catalog::SignedLog> get_log();
  /// Those of `digests` that the collector has, each verified against its digest.
  Result<std::map<FileSetDigest, catalog::FileSet>> get_file_sets(
      const std::vector<FileSetDigest>& digests);
  /// `file_sets`: encoded, those that the statement names.
  Result<Submitted> submit(const catalog::SignedChange& change,
                           const std::vector<std::string>& file_sets);
  /// Without a version: of all versions together.
  Result<Impact> get_impact(const catalog::BaseId& base);
  /// Changes nothing. Takes seconds where much runs, and has kWhatIfTimeout at least.
  Result<PolicyTrial> test_policy(const catalog::Policy& policy);
  Result<Discovery> discover(std::uint32_t max_proposals);
  /// One for each base that the report is about. Errors also: kLimitExceeded (too large for one
  /// message).
  Result<std::vector<ImportedScan>> import_scan(const ScanImport& scan);
  /// `base`: NAME or NAME:VERSION, "" for all. `only_newest`: of each base, of itself.
  Result<std::vector<Scan>> list_scans(const std::string& base, bool only_newest);
  Result<Where> where(const std::string& vulnerability);

  Result<FindingDetail> get_finding(const std::string& finding);
  /// Errors also: kAlreadyExists (changed since `revision`).
  Result<ChangedFinding> change_finding(const FindingChange& change);
  Result<Identity> who_am_i();
  Result<CreatedToken> create_token(const TokenWish& wish);
  Result<std::vector<Token>> list_tokens(bool include_dead);
  /// By id or name.
  Result<Token> revoke_token(const std::string& token);
  Result<std::vector<AuditEntry>> list_audit(const AuditFilter& filter);

 private:
  struct State;
  explicit Client(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace assay::cli
