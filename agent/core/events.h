// SPDX-License-Identifier: Apache-2.0
// What the probe tells the agent, in values of our own: no kernel layout, no libbpf.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/catalog/exec_origin.h"
#include "common/catalog/posture.h"
#include "common/catalog/recognition.h"

namespace assay::agent {

/// A process, told apart from a later one with the same number.
struct ProcessKey {
  std::uint32_t tgid = 0;  ///< in the host's pid namespace
  BootTime start{};        ///< CLOCK_BOOTTIME
  auto operator<=>(const ProcessKey&) const = default;
};

struct ProcessInfo {
  ProcessKey key;
  std::string name;  ///< comm, at most 15 bytes, raw
};

/// What a task's "/" is: for overlay the superblock's device with the upper's inode, otherwise the
/// superblock's device with the root directory's own inode.
struct RootIdentity {
  std::uint64_t device = 0;  ///< dev_t in user-space encoding (makedev)
  std::uint64_t inode = 0;
  std::uint32_t generation = 0;
  std::uint32_t magic = 0;  ///< super_block.s_magic
  auto operator<=>(const RootIdentity&) const = default;
};

/// A run is (root identity, container cgroup).
struct RunKey {
  RootIdentity root;
  std::uint64_t cgroup_id = 0;
  auto operator<=>(const RunKey&) const = default;
};

/// One lower directory as the kernel holds it.
struct LowerLayer {
  std::string name;  ///< raw; a hint: may be relative, a bare fd number, stale or truncated
  bool name_is_truncated = false;
  std::uint64_t device = 0;  ///< dev_t in user-space encoding
  std::uint64_t inode = 0;
  std::uint32_t generation = 0;
  std::uint32_t magic = 0;
  bool is_id_mapped = false;
  bool is_data_only = false;
  bool may_hang = false;  ///< on an overlay, one of whose own layers a program may serve
};

/// Mount options of an overlay superblock that change what a walk of its layers means.
struct OverlayOptions {
  std::uint32_t redirect_mode = 0;  ///< raw value of ovl_config.redirect_mode
  bool metacopy = false;
  bool userxattr = false;
  std::uint32_t verity_mode = 0;
  std::uint32_t data_only_layers = 0;
};

/// Who puts a root's layers together where it is not the kernel's overlayfs; decides, like
/// overlay's own options, how marks in the layers are read.
enum class OtherStack {
  kNone,         ///< overlayfs, or a root without layers
  kFuseOverlay,  ///< fuse-overlayfs, a program: what it shows may differ from its layers
  kAufs,
};

enum class StartCause {
  kExec,          ///< first exec on a root not known before
  kNoExec,        ///< a fork or exit showed a root on which nothing was ever executed
  kSweep,         ///< found running
  kRecord,        ///< its runtime says that it runs; none of its processes showed a root
  kInjectedExec,  ///< first exec, of a program that lies on another mount than the root
  kChildExec,     ///< first exec, by a child of a process of this root that had executed nothing
};

/// Whether an exec showed the root; what is on record of it is that exec's.
inline bool is_by_exec(StartCause cause) {
  return cause == StartCause::kExec || cause == StartCause::kInjectedExec ||
         cause == StartCause::kChildExec;
}

/// The file whose code runs after an exec; of a script that of its interpreter.
struct ExecutedFile {
  catalog::ExecOrigin origin = catalog::ExecOrigin::kUnknown;
  std::uint64_t device = 0;  ///< dev_t in user-space encoding, of its superblock
  std::uint64_t inode = 0;
  std::uint32_t generation = 0;
  std::string path;  ///< from its superblock's root, raw; "" when it is longer than is told
  bool is_interpreter = false;
};

/// Facts about a task whose root is (or may be) a container's.
struct ContainerStart {
  RunKey key;
  StartCause cause = StartCause::kExec;
  /// Of the exec; for a sweep the start of the oldest task on the root; of a start that was told
  /// again when the root was first seen.
  BootTime time{};
  bool begins_life = false;                   ///< the kernel knew no run of this key right before
  bool is_told_again = false;                 ///< an earlier record of this start was lost
  ProcessInfo process;                        ///< the task that showed the root
  std::vector<ProcessInfo> ancestors;         ///< nearest first, up to the host's init, at most 16
  std::vector<std::uint32_t> namespace_pids;  ///< outermost first
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string cgroup_path;  ///< from the hierarchy's root, raw
  std::uint64_t mount_namespace = 0;
  std::uint64_t pid_namespace = 0;
  std::uint64_t user_namespace = 0;
  bool in_host_mount_namespace = false;
  bool in_host_pid_namespace = false;
  bool in_host_user_namespace = false;
  bool is_host_root = false;           ///< the host's own (superblock, root directory)
  std::string executable;              ///< as given to execve, raw
  std::vector<std::string> arguments;  ///< raw, bounded by kMaxArgumentBytes
  bool arguments_truncated = false;
  ExecutedFile file;         ///< of a start that an exec showed
  catalog::Posture posture;  ///< of the process that showed the root
  /// What runs its processes in place of the node's kernel, e.g. "gVisor"; "" for nothing known.
  std::string sandbox;
  bool is_overlay = false;
  OverlayOptions overlay;
  OtherStack other_stack = OtherStack::kNone;  ///< then `layers` are not from the kernel
  std::vector<LowerLayer> layers;              ///< bottom first; without the upper
  bool layers_truncated = false;               ///< the kernel side could not deliver all of them
  // Read from /proc as soon as the start is known; empty when all processes of it were gone.
  catalog::Login login;
  std::vector<std::uint64_t> outer_pid_namespaces;  ///< around pid_namespace, without the host's
};

/// Whether `start` begins another life of its root than the one whose first process was `first`.
/// The kernel then had counted that one's last task out, also where its word of it was lost, or
/// never sent: a sweep and an exit can meet at the last task.
inline bool begins_another_life(const ContainerStart& start, const ProcessKey& first) {
  return start.begins_life && start.process.key != first;
}

/// Whether the layers of an overlay are missing, all or some: its stack cannot be told yet.
inline bool lacks_layers(const ContainerStart& start) {
  return start.is_overlay && (start.layers.empty() || start.layers_truncated);
}

/// An exec on a root that is already known.
struct ContainerExec {
  RunKey key;
  BootTime time{};
  ProcessInfo process;
  ProcessInfo parent;
  std::uint32_t uid = 0;
  std::string executable;
  std::vector<std::string> arguments;
  bool arguments_truncated = false;
  bool is_from_upper = false;  ///< overlay: the file has been written in this container
  ExecutedFile file;
};

/// The kernel counted no task on this root any more; a sweep confirms it.
struct RunEmptied {
  RunKey key;
  BootTime time{};
};

/// End of one sweep over all tasks. `live` holds every root told of; starts not known before, and
/// known ones whose layers were lost, were delivered as ContainerStart (kSweep) first.
struct SweepCompleted {
  BootTime began{};
  BootTime completed{};
  std::vector<RunKey> live;
  std::vector<RunKey> untold;  ///< seen too, but their facts were lost or are still to come
};

/// Records by what became of them, since the programs were loaded.
struct LossCounters {
  std::uint64_t sent = 0;
  std::uint64_t lost_starts = 0;       ///< no room; every try counts
  std::uint64_t lost_layers = 0;       ///< parts of starts
  std::uint64_t lost_ends = 0;         ///< hints that a run may have ended
  std::uint64_t lost_notices = 0;      ///< of the canary, and of runs that are noisy
  std::uint64_t lost_execs = 0;        ///< no room
  std::uint64_t held_back_execs = 0;   ///< over a run's budget
  std::uint64_t held_back_starts = 0;  ///< over a cgroup's budget
  std::uint64_t ended_untold = 0;      ///< runs that ended before anything could be told of them
  std::uint64_t lost_unknown = 0;      ///< lost starts of which nothing could be remembered
  std::uint64_t recursion_misses = 0;  ///< the programs did not run
  std::uint64_t runs_full = 0;         ///< operations on maps that failed
  std::uint64_t marks_full = 0;
  std::uint64_t other_maps_full = 0;
  auto operator<=>(const LossCounters&) const = default;

  /// Starts of which nothing will be told any more, at the most.
  std::uint64_t gone() const { return ended_untold + lost_unknown + recursion_misses; }
  /// Records that did not arrive, of any kind; what a sweep made good again counts too.
  std::uint64_t lost() const {
    return lost_starts + lost_layers + lost_ends + lost_notices + lost_execs + recursion_misses;
  }
  /// Operations on the programs' maps that failed; every one made the programs tell more, not less.
  std::uint64_t map_failures() const { return runs_full + marks_full + other_maps_full; }
};
/// What came between two looks at the same counters.
inline LossCounters operator-(LossCounters later, const LossCounters& earlier) {
  for (const auto member :
       {&LossCounters::sent, &LossCounters::lost_starts, &LossCounters::lost_layers,
        &LossCounters::lost_ends, &LossCounters::lost_notices, &LossCounters::lost_execs,
        &LossCounters::held_back_execs, &LossCounters::held_back_starts,
        &LossCounters::ended_untold, &LossCounters::lost_unknown, &LossCounters::recursion_misses,
        &LossCounters::runs_full, &LossCounters::marks_full, &LossCounters::other_maps_full})
    later.*member -= earlier.*member;
  return later;
}

enum class GapCause {
  kLosses,    ///< records were lost
  kAbsence,   ///< no agent was there, and no programs that went on without one
  kUnstored,  ///< records were read by an agent that was killed before it had stored them
};

/// Something could not be seen between two times. What still ran at the end was found by a sweep.
struct ObservationGap {
  BootTime from{};  ///< the last time all was well; may lie before this boot
  BootTime until{};
  GapCause cause = GapCause::kLosses;
  LossCounters lost;  ///< between the two
};

enum class Budget { kExecs, kStarts };

/// A run sends more than its budget allows.
struct RunNoise {
  RunKey key;  ///< for starts: of the first run in that cgroup
  Budget budget = Budget::kExecs;
  BootTime since{};
  BootTime time{};  ///< the last time it did
  std::uint64_t dropped = 0;
  std::uint32_t limit = 0;  ///< execs a second, or starts that may wait at once
  bool is_over = false;     ///< it has kept to the budget for a while
};

/// A place in the stream of what a source told. Once everything told before it is stored, the
/// source may forget it (EventSource::release).
struct Checkpoint {
  std::uint64_t ticket = 0;  ///< ascending
  BootTime well{};           ///< until when nothing is missing in what was told
};

/// How far the probe got; health tells `attached` from `seen`.
enum class ProbeState { kClosed, kAttached, kSeen, kFailed };

struct ProbeHealth {
  ProbeState state = ProbeState::kClosed;
  std::string detail;  ///< why it failed, or what it cannot read here
  LossCounters loss;
};

}  // namespace assay::agent

template <>
struct std::hash<assay::agent::RunKey> {
  std::size_t operator()(const assay::agent::RunKey& key) const noexcept {
    std::size_t mixed = key.root.device * 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ key.root.inode) * 0x9e3779b97f4a7c15ULL;
    mixed = (mixed ^ key.root.generation) * 0x9e3779b97f4a7c15ULL;
    return (mixed ^ key.cgroup_id) * 0x9e3779b97f4a7c15ULL;
  }
};
