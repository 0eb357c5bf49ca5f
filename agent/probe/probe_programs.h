// SPDX-License-Identifier: Apache-2.0
// The BPF programs at work: their maps, ring buffers and sweeps, whether this process loaded them
// or found them pinned.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/events.h"
#include "agent/probe/pin_folder.h"
#include "agent/probe/probe_control.h"
#include "agent/probe/probe_objects.h"
#include "agent/probe/probe_options.h"
#include "agent/probe/ring_reader.h"
#include "bpf/include/state_abi.h"
#include "common/base/result.h"

namespace assay::agent {

/// What an earlier agent left, that was killed or told to leave it.
struct Inheritance {
  bool is_adopted = false;           ///< its programs go on as ours
  std::optional<WellPoint> well;     ///< when it last was well; nothing: it left no such word
  bool has_gap = false;              ///< since then something is missing for sure
  std::optional<LossCounters> lost;  ///< since then, of programs that were replaced
};

/// Not thread-safe, except for counters() and release().
class ProbePrograms {
 public:
  /// Adopts pinned programs that are the same as ours, or loads ours; nothing is attached yet.
  /// Blocks for some 100 ms in the verifier when it loads.
  /// Errors: kPermissionDenied (capabilities), kUnsupported (no BTF, or the kernel refuses).
  static Result<std::unique_ptr<ProbePrograms>> open(const ProbeOptions& options);
  ~ProbePrograms();
  ProbePrograms(const ProbePrograms&) = delete;
  ProbePrograms& operator=(const ProbePrograms&) = delete;

  using RecordSink = RingReader::Sink;
  void set_sinks(RecordSink on_start_record, RecordSink on_exec_record);

  /// Learns what the host's root is, attaches, and makes running containers known to the programs.
  /// Programs that are not ours are detached then, and what they left in their ring buffers is
  /// delivered. Errors: kUnsupported (not in the host's pid namespace, or refused).
  Result<void> attach();
  /// Pins what is attached, where a folder is given and takes it; else says why in pin_problem().
  void pin();
  /// Detaches; `keeps_pins` leaves the pins, so that the programs go on without us.
  void detach(bool keeps_pins);
  const Inheritance& inheritance() const { return inheritance_; }

  /// Delivers what is in the buffers now.
  void read_starts() { starts_->read(on_start_record_); }
  void read_execs(std::uint64_t end) { execs_->read(on_exec_record_, end); }
  RingReader& starts() { return *starts_; }
  RingReader& execs() { return *execs_; }
  /// Wakes epoll (edge-triggered) with every record. Owned by this object.
  int starts_fd() const { return objects_.fd(ProbeObject::kStarts); }
  int execs_fd() const { return objects_.fd(ProbeObject::kExecs); }
  ProbeControl& control() { return *control_; }

  /// All thread groups on runs' roots: assay_task records, one after the other.
  Result<std::string> sweep_keys();
  /// Sends starts for these thread groups (at most kMaxWanted) into the ring buffer.
  static constexpr std::size_t kMaxWanted = 64;
  Result<void> sweep_facts(const std::vector<std::uint32_t>& tgids);
  /// Forgets known runs that the filter names; the next exec there is a start again.
  void forget_runs(const std::function<bool(const assay_run_key&, const assay_run&)>& is_dead);
  /// What a budget of a run has held back; nothing: it has ended.
  std::optional<std::uint64_t> held_back(const RunKey& key, Budget budget) const;

  /// Thread group whose children's execs are reported as canaries; 0: none.
  void set_canary_parent(std::uint32_t tgid);
  /// Looks for overlayfs' types again when they were not there (the module may be loaded by now).
  bool has_overlay_offsets() const;
  void look_for_overlay_offsets();
  /// Why overlay layers cannot be read here, "" when they can.
  const std::string& overlay_problem() const { return overlay_problem_; }
  /// Why the programs are not pinned although they should be, "" when they are.
  const std::string& pin_problem() const { return pin_problem_; }

  /// Losses since load. Thread-safe; a handful of system calls.
  LossCounters counters() const;

 private:
  struct Variables;
  explicit ProbePrograms(const ProbeOptions& options);
  void open_pins();
  bool adopt();
  Result<void> load();
  Result<void> map();
  Result<void> learn_host();
  Result<void> attach_ours();
  void replace_predecessor();
  /// What a killed agent had asked for.
  void forget_wanted();
  void apply_settings();
  Result<std::string> run_iterator(std::uint32_t mode);
  volatile assay_settings& settings() const;

  const ProbeOptions options_;
  std::optional<PinFolder> pins_;
  std::optional<ProbeObjects> predecessor_;  ///< pinned, of the same ABI, but not ours
  ProbeObjects objects_;
  std::unique_ptr<Variables> variables_;
  std::optional<ProbeControl> control_;
  std::optional<RingReader> starts_;
  std::optional<RingReader> execs_;
  RecordSink on_start_record_;
  RecordSink on_exec_record_;
  Inheritance inheritance_;
  std::string overlay_problem_;
  std::string pin_problem_;
};

/// Removes the pins that a killed agent left in `folder`, so that its programs detach. True when
/// there were some. Errors: kUnavailable (an agent is using them), kPermissionDenied.
Result<bool> remove_pins(const std::string& folder);

}  // namespace assay::agent
