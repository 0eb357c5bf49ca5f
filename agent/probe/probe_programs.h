// SPDX-License-Identifier: Apache-2.0
// The loaded BPF programs and their maps: everything that touches libbpf and the skeleton.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/events.h"
#include "agent/probe/probe_options.h"
#include "bpf/include/event_abi.h"
#include "common/base/result.h"

namespace assay::agent {

/// Not thread-safe, except for counters().
class ProbePrograms {
 public:
  /// Loads the programs; nothing is attached yet. Blocks for some 100 ms in the verifier.
  /// Errors: kPermissionDenied (capabilities), kUnsupported (no BTF, or the kernel refuses).
  static Result<std::unique_ptr<ProbePrograms>> load(const ProbeOptions& options);
  ~ProbePrograms();
  ProbePrograms(const ProbePrograms&) = delete;
  ProbePrograms& operator=(const ProbePrograms&) = delete;

  /// Learns what the host's root is, attaches, and makes running containers known to the programs.
  /// Errors: kUnsupported (not in the host's pid namespace, or refused).
  Result<void> attach();
  void detach();

  /// Called for each record; `bytes` lives until it returns.
  using RecordSink = std::function<void(std::string_view bytes)>;
  void set_sinks(RecordSink on_start_record, RecordSink on_exec_record);
  /// Delivers what is in the buffers now. Errors: kUnavailable.
  Result<void> consume_starts();
  Result<void> consume_execs();
  /// Readable when records are there. Owned by this object.
  int starts_fd() const;
  int execs_fd() const;

  /// All thread groups on runs' roots: assay_task records, one after the other.
  Result<std::string> sweep_keys();
  /// Sends starts for these thread groups (at most kMaxWanted) into the ring buffer.
  static constexpr std::size_t kMaxWanted = 64;
  Result<void> sweep_facts(const std::vector<std::uint32_t>& tgids);
  /// Forgets known runs that the filter names; the next exec there is a start again.
  void forget_runs(const std::function<bool(const assay_run_key&, const assay_run&)>& is_dead);

  /// Thread group whose children's execs are reported as canaries; 0: none.
  void set_canary_parent(std::uint32_t tgid);
  /// Looks for overlayfs' types again when they were not there (the module may be loaded by now).
  bool has_overlay_offsets() const;
  void look_for_overlay_offsets();
  /// Why overlay layers cannot be read here, "" when they can.
  const std::string& overlay_problem() const { return overlay_problem_; }

  /// Losses since load. Thread-safe; a handful of system calls.
  LossCounters counters() const;

 private:
  struct Loaded;
  explicit ProbePrograms(std::unique_ptr<Loaded> loaded);
  Result<std::string> run_iterator(std::uint32_t mode);

  std::unique_ptr<Loaded> loaded_;
  std::string overlay_problem_;
};

}  // namespace assay::agent
