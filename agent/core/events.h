// SPDX-License-Identifier: Apache-2.0
// What the probe tells the agent, in values of our own: no kernel layout, no libbpf.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/clock.h"

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
  kExec,    ///< first exec on a root not known before
  kNoExec,  ///< a fork or exit showed a root on which nothing was ever executed
  kSweep,   ///< found running
};

/// Facts about a task whose root is (or may be) a container's.
struct ContainerStart {
  RunKey key;
  StartCause cause = StartCause::kExec;
  BootTime time{};      ///< of the exec; for a sweep the start of the oldest task on the root
  ProcessInfo process;  ///< the task that showed the root
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
  bool is_overlay = false;
  OverlayOptions overlay;
  OtherStack other_stack = OtherStack::kNone;  ///< then `layers` are not from the kernel
  std::vector<LowerLayer> layers;              ///< bottom first; without the upper
  bool layers_truncated = false;               ///< the kernel side could not deliver all of them
};

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

/// Records that did not reach user space since the source was opened.
struct LossCounters {
  std::uint64_t sent = 0;
  std::uint64_t lost_starts = 0;
  std::uint64_t lost_execs = 0;
  std::uint64_t recursion_misses = 0;
  std::uint64_t map_failures = 0;
  auto operator<=>(const LossCounters&) const = default;
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
