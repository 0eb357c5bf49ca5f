// SPDX-License-Identifier: Apache-2.0
// From the bytes of the kernel's records to what a source tells: each run once, its parts joined,
// sweeps compared with what was told. Pure, so that a recording passes through the same code.
#pragma once

#include <functional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "agent/core/events.h"
#include "agent/core/ports.h"
#include "agent/probe/delivered_runs.h"
#include "agent/probe/event_decoder.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::agent {

/// A run that a sweep saw: the oldest thread group on its root speaks for it.
struct SweptRun {
  ProcessKey oldest;
  std::uint32_t layer_count = 0;
  bool has_never_executed = true;
  /// Nothing was told of it, and the programs count its end or are about to tell of it.
  bool is_counted = false;
  bool is_due = false;  ///< its own exec may be about to tell of it: it is not asked for yet
};
using SweptRuns = std::unordered_map<RunKey, SweptRun>;

/// Not thread-safe: it lives on its source's thread.
class EventAssembler {
 public:
  /// What only a live source can do; each may be empty.
  struct Hooks {
    /// Fills in what the process was executed with, for starts that no exec showed.
    std::function<void(ContainerStart&)> fill_command = {};
    std::function<void(const CanarySeen&)> on_canary = {};
    std::function<void(const NoiseSeen&)> on_noise = {};
    /// A start on an overlay came without any layers.
    std::function<void()> on_bare_overlay = {};
    /// An exec came of a run that nothing was told of: its start may lie in the other ring buffer.
    std::function<void()> read_starts = {};
  };

  /// `never_executed_age`: how old a task must be that executed nothing on its root before a sweep
  /// tells of that root.
  EventAssembler(Hooks hooks, std::chrono::milliseconds never_executed_age)
      : hooks_(std::move(hooks)), never_executed_age_(never_executed_age) {}
  /// Before any record. `sink` outlives the assembler.
  void set_sink(EventSink& sink) { sink_ = &sink; }

  /// Errors: kCorrupt, kUnsupported (another ABI); the record is passed over.
  Result<void> on_start_record(std::string_view bytes, BootTime now);
  Result<void> on_exec_record(std::string_view bytes);
  /// Whether parts of a start were read whose end is still to come.
  bool has_parts(BootTime now) const { return decoder_.has_parts(now); }

  /// One sweep: begin, then the tasks it saw (in one piece or several), then the starts that were
  /// asked for, then end.
  void begin_sweep(BootTime began);
  Result<void> on_swept_tasks(std::string_view records);
  /// What has to be asked for; and what was told before may be a former life of a root.
  std::vector<SweptRun> wanted();
  /// Whether the sweep that ended left out runs whose execs may be about to tell of them: another
  /// one has to follow soon.
  bool has_due() const { return has_due_; }
  /// Tells the sink. Gives the number of runs that a former sweep saw and that ended before
  /// anything could be told of them.
  std::uint64_t end_sweep(BootTime completed);
  bool is_live(const RunKey& key) const { return swept_.contains(key); }
  BootTime sweep_began() const { return began_; }

 private:
  void deliver_start(ContainerStart start, BootTime now);
  bool is_wanted(const RunKey& key, const SweptRun& run) const;

  const Hooks hooks_;
  const std::chrono::milliseconds never_executed_age_;
  EventSink* sink_ = nullptr;
  EventDecoder decoder_;
  DeliveredRuns delivered_;
  BootTime began_{};
  bool is_first_sweep_ = true;  ///< execs before it told of nothing, or told another agent
  bool has_due_ = false;
  SweptRuns swept_;
  std::unordered_set<RunKey> untold_;  ///< seen by the last sweep, facts lost or still to come
};

}  // namespace assay::agent
