// SPDX-License-Identifier: Apache-2.0
// What agents report, in values of our own: no generated type, no SQL.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/base/digest.h"
#include "common/catalog/container_names.h"
#include "common/catalog/evidence.h"
#include "common/catalog/exec_origin.h"
#include "common/catalog/judge.h"
#include "common/catalog/posture.h"
#include "common/catalog/recognition.h"
#include "common/catalog/view.h"

namespace assay::collector {

/// A node by the identity in its certificate.
struct NodeKey {
  std::string cluster;
  std::string node;
  auto operator<=>(const NodeKey&) const = default;
  std::string text() const { return cluster + "/" + node; }
};

/// 16 random bytes, new with every new outbox of an agent.
using Epoch = std::string;
using RunId = std::string;  ///< 32 hex digits, unique on its node

struct Process {
  std::uint32_t pid = 0;  ///< on the host
  std::int64_t start_ns = 0;
  std::string name;
};

using catalog::ContainerNames;

/// Where a run came from.
struct RunOrigin {
  std::string cause;                          ///< how it was seen; agent.proto
  std::vector<Process> ancestors;             ///< nearest first
  std::vector<std::uint32_t> namespace_pids;  ///< outermost first
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t cgroup_id = 0;
  std::uint64_t mount_namespace = 0;
  std::uint64_t pid_namespace = 0;
  std::uint64_t user_namespace = 0;
  std::vector<std::string> arguments;
  bool arguments_truncated = false;
  std::string root_type;
  catalog::Login login = {};
  catalog::Posture posture = {};
};

struct RunStarted {
  RunId run_id;
  std::string kind;  ///< container, inner, sandbox, chroot, host-root, vm-sandbox
  bool is_late = false;
  std::int64_t started_ns = 0;
  std::optional<StackDigest> stack;  ///< none: the root could not be read at all
  Process process;
  std::string executable;
  std::string cgroup_path;
  RunOrigin origin;
  ContainerNames names;
  std::optional<catalog::Verdict> agent_verdict;
};

struct RunEnded {
  RunId run_id;
  std::int64_t ended_ns = 0;
  bool is_approximate = false;
};

/// Every run of the node on `from` now stands on `to`.
struct StackAdvanced {
  StackDigest from;
  StackDigest to;
  bool is_of_running = false;  ///< only those that have not ended: a layer was changed
};

struct RunNamed {
  RunId run_id;
  ContainerNames names;
  /// What the runtime's records and the kernel disagree on so far, each as "SUBJECT: REASON".
  std::vector<std::string> claim_conflicts;
  std::string kind = {};                  ///< by these names; "" = as it was told
  catalog::Recognition recognition = {};  ///< untold: nothing new
};

/// What the run sees of its base's files.
struct RunViewed {
  RunId run_id;
  catalog::View view;
  std::optional<StackDigest> stack;  ///< that it stands on from now on; none: on the same
};

struct Exec {
  std::int64_t time_ns = 0;
  Process process;
  Process parent;
  std::uint32_t uid = 0;
  std::string executable;
  std::vector<std::string> arguments;
  bool arguments_truncated = false;
  bool is_from_upper = false;
  catalog::ExecOrigin origin = catalog::ExecOrigin::kUnknown;
  std::string path = {};        ///< of the file whose code ran, in its file system; "" = not known
  bool is_interpreter = false;  ///< that file, of the script that `executable` names
};

struct ExecSeen {
  RunId run_id;
  Exec exec;
};

struct EvidenceGap {
  std::int64_t from_ns = 0;
  std::int64_t until_ns = 0;
  std::string reason;
  std::uint64_t lost = 0;
};

/// A run sent more records than its budget allows.
struct RunNoisy {
  RunId run_id;
  std::string budget;  ///< execs, starts
  std::int64_t from_ns = 0;
  std::int64_t until_ns = 0;
  std::uint64_t dropped = 0;
  std::uint32_t limit = 0;
  bool is_over = false;
};

/// The node tells all its open runs, until StateCompleted.
struct StateBegun {};

/// An open run as it stands now.
struct RunPresent {
  RunStarted run;
  std::vector<std::string> claim_conflicts = {};  ///< as in RunNamed
  catalog::View view = {};                        ///< as in RunViewed
  catalog::Recognition recognition = {};          ///< as in RunNamed
};

struct StateCompleted {
  std::uint64_t runs = 0;  ///< RunPresent events since StateBegun
  std::uint64_t lost = 0;  ///< records of starts that the agent lost since it started
};

struct Event {
  std::uint64_t sequence = 0;  ///< per (cluster, node, epoch), from 1, without holes
  std::int64_t time_ns = 0;
  std::uint64_t skipped = 0;  ///< sequences right before this one that the agent no longer has
  /// monostate: of a newer agent; only its sequence counts.
  std::variant<std::monostate, RunStarted, RunEnded, StackAdvanced, RunNamed, ExecSeen, EvidenceGap,
               RunNoisy, RunViewed, StateBegun, RunPresent, StateCompleted>
      body;
};

/// The file set of a stack's layers, as it was asked for, or why there is none.
struct FileSetAnswer {
  StackDigest stack;
  std::size_t first_layer = 0;  ///< of those in it, from the bottom, injected ones counted
  std::string files;            ///< catalog::FileSet's bytes, checked; "" when there is a gap
  std::string gap;
};

/// What one message of an agent brings. Stacks carry the cluster and node of the certificate.
struct Batch {
  std::vector<Event> events;
  std::vector<catalog::Stack> stacks;
  std::vector<FileSetAnswer> file_sets = {};
};

/// What an agent says of itself when it connects.
struct AgentInfo {
  Epoch epoch;
  std::string boot_id;
  std::string version;
  std::string kernel;
  std::uint64_t catalog_sequence = 0;
  std::string instance;            ///< 16 random bytes of one process, "" = not told
  std::uint64_t acknowledged = 0;  ///< of this epoch, by any collector: never sent again
  std::string address;             ///< where the connection comes from
  std::string trust = {};          ///< digest of the authorities that it keeps, "" = not told
  std::string issuer = {};         ///< digest of the one that issued its certificate
};

/// Something that an agent cannot do, or does in a weaker way.
struct Degradation {
  std::string mode;
  std::string reason;
  bool operator==(const Degradation&) const = default;
};

struct Heartbeat {
  std::uint64_t catalog_sequence = 0;
  bool catalog_is_stale = false;
  std::string probe_state;
  std::string probe_detail;
  std::uint64_t probe_sent = 0;
  std::uint64_t probe_lost = 0;
  std::uint64_t queue_dropped = 0;
  std::uint64_t outbox_events = 0;
  std::uint64_t outbox_bytes = 0;
  std::uint64_t running = 0;
  std::uint64_t layers_pending = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t cpu_ns = 0;
  std::int64_t time_ns = 0;         ///< of the node's clock, when it was made
  std::uint64_t number = 0;         ///< 1, 2, … of one agent's process; 0 = not told
  std::uint64_t sent_sequence = 0;  ///< highest sequence sent on this stream
  std::uint64_t acknowledged = 0;   ///< highest sequence that the agent knows to be committed
  bool probe_is_attached = false;
  bool probe_has_seen = false;  ///< the agent's own canary
  std::uint64_t lost_starts = 0;
  std::uint64_t lost_execs = 0;
  std::uint64_t recursion_misses = 0;
  std::uint64_t map_failures = 0;
  std::uint64_t starts = 0;
  std::uint64_t late_starts = 0;
  std::uint64_t outbox_dropped = 0;
  std::int64_t outbox_oldest_ns = 0;  ///< 0 = none
  std::int64_t catalog_expires_ns = 0;
  std::int64_t started_ns = 0;  ///< of the agent
  std::vector<Degradation> degraded;
};

}  // namespace assay::collector
