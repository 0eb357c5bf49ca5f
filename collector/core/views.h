// SPDX-License-Identifier: Apache-2.0
// What people ask for: filters, pages and the rows they get.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/events.h"
#include "common/catalog/containment.h"

namespace assay::collector {

/// Where a list goes on: after this row, in the list's own order (newest first).
struct Cursor {
  std::int64_t time_ns = 0;
  std::int64_t key = 0;
};

template <typename Row>
struct Page {
  std::vector<Row> rows;
  std::optional<Cursor> next;  ///< none: this was the last page
};

struct RunView {
  RunId run_id;
  NodeKey node;
  std::string kind;
  bool is_late = false;
  std::int64_t started_ns = 0;
  std::int64_t ended_ns = 0;  ///< 0 = running
  ContainerNames names;
  catalog::Verdict verdict;
  std::optional<StackDigest> stack;
  std::uint32_t layers = 0;  ///< injected ones not counted
  std::string executable;
  Process process;
  std::string cgroup_path;
  std::string exemption;  ///< of the policy, that keeps a finding on it closed; "" = none
};

struct RunFilter {
  bool include_ended = false;
  std::string node;  ///< NAME in any cluster, or CLUSTER/NAME; "" = all
  std::string base;  ///< NAME or NAME:VERSION of any matched base
  std::optional<catalog::VerdictStatus> verdict;
  std::string container;      ///< container id prefix or exact name
  std::uint32_t posture = 0;  ///< traits that all must be there, as in catalog::Posture
};

/// What people did about a finding. What is empty or 0 nobody did.
struct TriageState {
  std::string acknowledged_by;
  std::int64_t acknowledged_ns = 0;
  std::string acknowledged_note;
  std::string assignee;
  std::string assigned_by;
  std::string muted_by;
  std::int64_t muted_ns = 0;
  std::int64_t muted_until_ns = 0;  ///< 0 = not muted
  std::string muted_reason;
  std::string muted_as;        ///< the verdict that it was muted under (core/triage.h)
  std::uint64_t revision = 0;  ///< grows with every change

  /// new, acknowledged, muted
  std::string_view word() const {
    if (muted_until_ns != 0) return "muted";
    return acknowledged_ns != 0 ? "acknowledged" : "new";
  }
};

/// One change of it.
struct TriageEntry {
  std::int64_t time_ns = 0;
  std::string actor;
  std::string action;
  std::string note;
  std::string assignee = {};
  std::int64_t muted_until_ns = 0;
};
inline constexpr int kMaxTriageEntries = 200;

struct FindingView {
  std::string finding_id;
  catalog::FindingKind kind{};
  std::string subject;
  std::string reason;
  std::int64_t opened_ns = 0;
  std::int64_t changed_ns = 0;
  std::int64_t resolved_ns = 0;  ///< 0 = open
  std::string resolved_reason;
  NodeKey node;
  RunId run_id;  ///< "" for a finding on a node
  ContainerNames names;
  std::string base;
  TriageState triage = {};
};

struct FindingDetailView {
  FindingView finding;
  std::vector<TriageEntry> history;  ///< newest first, at most kMaxTriageEntries
};

/// Open findings.
struct FindingCounts {
  std::uint64_t open = 0;          ///< all of them
  std::uint64_t acknowledged = 0;  ///< and not muted
  std::uint64_t muted = 0;
};

struct FindingFilter {
  bool include_resolved = false;
  bool include_muted = true;
  std::string triage;    ///< TriageState::word(); "" = all
  std::string assignee;  ///< "" = all
  std::string node;      ///< NAME in any cluster, or CLUSTER/NAME; "" = all
  std::optional<catalog::FindingKind> kind;
  std::string base;  ///< NAME or NAME:VERSION
  std::string run_id;
};

struct AuditFilter {
  std::string actor;          ///< "user:NAME", or NAME for any means; "" = all
  std::string action;         ///< "token.create", or "token" for all that begin so; "" = all
  std::string outcome;        ///< "" = all
  std::int64_t since_ns = 0;  ///< 0 = all
};

/// What the files of a stack tell, where its layers do not.
struct ContainmentView {
  std::size_t first_layer = 0;  ///< whose files were looked at, from there upward
  bool is_awaited = false;      ///< the node still owes them
  std::string gap;              ///< why they could not be looked at
  catalog::Containment found;
};

/// A run that has not ended.
struct RunningRun {
  RunId run_id;
  std::int64_t started_ns = 0;
  ContainerNames names;
  bool has_conflicts = false;  ///< its runtime's records and the kernel disagree
  std::string kind = {};
  std::string rogue = {};  ///< as in OpenRun
};

/// A described stack that runs stand on now.
struct RunningStack {
  NodeKey node;
  catalog::Stack stack;
  catalog::Verdict verdict;  ///< as it was judged last
  std::uint64_t running = 0;
  std::optional<ContainmentView> containment;
};

/// How a node is, in one word.
enum class NodePresence {
  kConnected,  ///< its stream is up and heartbeats come
  kAway,       ///< its stream ended a moment ago
  kSilent,     ///< no heartbeat for kMissedHeartbeats intervals, whether a stream is up or not
};
std::string_view to_string(NodePresence presence);
/// Heartbeats that may be missed before a node counts as silent.
inline constexpr int kMissedHeartbeats = 3;

struct NodeView {
  NodeKey key;
  bool is_connected = false;
  NodePresence presence = NodePresence::kSilent;  ///< when it was asked for; not stored
  std::int64_t last_seen_ns = 0;
  std::int64_t heartbeat_ns = 0;     ///< when the last one came, by the collector's clock; 0 = none
  std::int64_t clock_offset_ns = 0;  ///< the node's clock minus ours, then; with the way's delay
  std::int64_t connected_ns = 0;     ///< when its newest stream came; not stored
  std::string address;               ///< of the last connection
  std::string version;
  std::string kernel;
  std::string boot_id;
  Heartbeat heartbeat;
  std::uint64_t acknowledged = 0;
  bool is_state_wanted = false;  ///< its full state was asked for and has not come yet
  std::string trust;   ///< digest of the authorities that its agent keeps, "" = it said none
  std::string issuer;  ///< digest of the one that issued its certificate; neither is stored

  // Of its NodeIdentity, where a directory fills them in.
  std::int64_t revoked_ns = 0;
  std::string revoked_by;
  std::string revoked_reason;
  std::int64_t certificate_expires_ns = 0;
  std::string trust_state;  ///< current, trust, behind, "" = not known
};

struct TraceView {
  RunView run;
  RunOrigin origin;
  catalog::Stack stack;
  std::vector<Exec> execs;  ///< oldest first, at most kMaxTraceExecs
  std::vector<FindingView> findings;
  std::vector<RunId> other_runs;  ///< newest first, at most kMaxTraceRuns
  std::uint64_t runs_on_same_stack = 0;
  std::optional<ContainmentView> containment;  ///< none: its files are of no interest
  catalog::View view = {};                     ///< what the run sees of its base
  catalog::Recognition recognition = {};       ///< who knows it
};
inline constexpr int kMaxTraceExecs = 1000;
inline constexpr int kMaxTraceRuns = 100;

/// The running runs on a base in one namespace that one owner answers for.
struct ImpactGroup {
  std::string pod_namespace;  ///< "" = in none
  std::string owner;          ///< a contact or workload that labels name; "" = nobody
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::int64_t since_ns = 0;  ///< the oldest of them started
};

struct ImpactView {
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::uint64_t running_total = 0;
  std::int64_t since_ns = 0;  ///< the oldest run on it started; 0 = nothing runs on it
  std::uint64_t namespaces = 0;
  std::uint64_t owners = 0;
  std::vector<ImpactGroup> groups;  ///< the largest first, at most kMaxImpactGroups
  std::vector<RunView> runs;        ///< newest first, at most kMaxImpactRuns
};
inline constexpr int kMaxImpactRuns = 1000;
inline constexpr std::size_t kMaxImpactGroups = 1000;

}  // namespace assay::collector
