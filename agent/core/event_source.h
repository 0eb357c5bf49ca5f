// SPDX-License-Identifier: Apache-2.0
// Where events come from: the source's, the receiver's and the recorder's side.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/core/events.h"
#include "common/base/result.h"

namespace assay::agent {

/// Receives what an EventSource sees. Called on the source's own thread, one call at a time; must
/// return within microseconds (it queues).
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void on_start(ContainerStart start) = 0;
  virtual void on_exec(ContainerExec exec) = 0;
  virtual void on_emptied(RunEmptied emptied) = 0;
  virtual void on_sweep(SweepCompleted sweep) = 0;
  virtual void on_gap(ObservationGap gap) = 0;
  virtual void on_noise(RunNoise noise) = 0;
  /// The receiver answers with EventSource::release() once all before it is stored.
  virtual void on_checkpoint(Checkpoint checkpoint) = 0;
  /// False while the receiver has enough to do: then the source lets records wait in the kernel,
  /// where a storm in one container takes no other container's place.
  virtual bool has_room() const { return true; }
};

/// Where starts come from: the BPF probe, /proc polling, or a recording.
/// Life: open → start → stop. Destroying stops. Thread-safe after start.
class EventSource {
 public:
  virtual ~EventSource() = default;
  /// Begins delivery to `sink` (which must outlive the source) on a thread of its own, with a sweep
  /// first. `absent_since`: until when an earlier agent kept all that happened, before this boot
  /// negative; what nothing bridged since then is told as a gap. Nothing: there was none.
  /// Errors: kPermissionDenied, kUnsupported (no BTF, no BPF), kUnavailable.
  virtual Result<void> start(EventSink& sink, std::optional<BootTime> absent_since) = 0;
  /// Asks for a sweep over all tasks soon; requests made meanwhile are merged.
  virtual void request_sweep() = 0;
  virtual ProbeHealth health() const = 0;
  /// Time between two sweeps by the clock, from now on.
  virtual void set_sweep_interval(std::chrono::milliseconds /*interval*/) {}
  virtual void stop() = 0;
  /// Everything up to this checkpoint is stored. Also after stop().
  virtual void release(std::uint64_t ticket) = 0;
};

/// Where the bytes of a recording come from.
enum class ProbeChannel { kStarts, kExecs, kSweptTasks };

/// Gets a copy of what a source reads, before anything is made of it, for a recording. Called on
/// the source's thread; must not block.
class ProbeTap {
 public:
  virtual ~ProbeTap() = default;
  /// One record of a ring buffer, or the tasks of a sweep.
  virtual void on_bytes(ProbeChannel channel, BootTime now, std::string_view bytes) = 0;
  virtual void on_sweep_began(BootTime began) = 0;
  /// The starts that follow were asked for by the sweep.
  virtual void on_sweep_asks() = 0;
  virtual void on_sweep_completed(BootTime completed) = 0;
  /// What /proc said of a process: `executable` and `arguments` of the start are filled in.
  virtual void on_command(const ContainerStart& start) = 0;
  virtual void on_gap(const ObservationGap& gap) = 0;
  virtual void on_noise(const RunNoise& noise) = 0;
};

}  // namespace assay::agent
