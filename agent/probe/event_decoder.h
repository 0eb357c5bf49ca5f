// SPDX-License-Identifier: Apache-2.0
// Bytes of the kernel's records to the agent's own values. Pure; every length is checked, because a
// record may come from a recording or, after an update, from programs of another version.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "agent/core/events.h"
#include "bpf/include/event_abi.h"
#include "common/base/result.h"

namespace assay::agent {

/// An exec of a child of this process.
struct CanarySeen {
  ProcessKey process;
  std::vector<std::string> arguments;
};

/// A run went over one of its budgets.
struct NoiseSeen {
  RunKey key;
  Budget budget = Budget::kExecs;
  BootTime time{};
  std::uint64_t dropped = 0;
  std::uint32_t limit = 0;
};

/// One thread group on a run's root, as a sweep found it.
struct SweptTask {
  RunKey key;
  ProcessKey process;
  std::uint32_t layer_count = 0;
  bool has_never_executed = false;
  bool is_lost = false;  ///< a start of its run was not taken; the programs count it if it ends so
  bool is_start_due = false;  ///< an exec has just made its run known, and tells of it or counts it
  bool is_exec_due = false;   ///< its run has just become known by a sweep; an exec may tell of it
};

/// What one record says; std::monostate: part of a start that is still to come.
using ProbeRecord =
    std::variant<std::monostate, ContainerStart, ContainerExec, RunEmptied, CanarySeen, NoiseSeen>;

/// Decodes records in the order of their ring buffer and joins a start with its layers.
/// Keeps at most kMaxPendingStarts unfinished starts; the oldest goes. Not thread-safe.
class EventDecoder {
 public:
  static constexpr std::size_t kMaxPendingStarts = 64;

  /// Decodes one record. Errors: kCorrupt (a length or type is wrong), kUnsupported (another ABI).
  /// Source: docs/formats/event_abi.md.
  Result<ProbeRecord> decode(std::string_view record);
  /// Whether parts of a start wait for the rest, which comes at once or was lost.
  bool has_parts(BootTime now) const;

 private:
  struct PendingStart {
    std::uint64_t start_id = 0;
    BootTime time{};
    std::vector<LowerLayer> layers;  ///< top first, at their index
    std::vector<bool> is_present;
    std::vector<std::string> names;  ///< of kernels that keep one string for all, top first
  };

  Result<ProbeRecord> decode_layers(std::string_view record);
  Result<ProbeRecord> decode_lowerdir(std::string_view record);
  Result<ProbeRecord> decode_start(std::string_view record);
  PendingStart& pending(std::uint64_t start_id, std::uint64_t boot_ns);
  PendingStart take(std::uint64_t start_id);

  std::list<PendingStart> pending_;  ///< oldest first
};

/// Arguments as the kernel keeps them, each ended by a zero.
std::vector<std::string> split_arguments(std::string_view bytes);

/// The kernel side's key with the device in user space's encoding.
RunKey to_run_key(const assay_run_key& key);
/// And back.
assay_run_key to_kernel_key(const RunKey& key);

/// Decodes what the sweep's iterator wrote: records one after the other.
/// Errors: kCorrupt, kUnsupported.
Result<std::vector<SweptTask>> decode_swept_tasks(std::string_view records);

}  // namespace assay::agent
