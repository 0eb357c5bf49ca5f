// SPDX-License-Identifier: Apache-2.0
// Which runs the source has told of, and the sweep over all tasks that finds the others.
#pragma once

#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/core/events.h"
#include "agent/core/ports.h"
#include "agent/probe/event_decoder.h"
#include "agent/probe/probe_options.h"
#include "agent/probe/probe_programs.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::agent {

/// Remembers what was delivered, so that each run is told of once. Not thread-safe: it lives on the
/// source's thread.
class DeliveredRuns {
 public:
  bool contains(const RunKey& key) const { return runs_.contains(key); }
  /// Whether a start is news: of a run not told of, or with the layers that its run was told
  /// without. Remembers it when it is.
  bool accept(const ContainerStart& start, BootTime now);
  /// Whether `key` was told of without its layers and should be asked for again.
  bool wants_layers(const RunKey& key, BootTime now) const;
  void mark_emptied(const RunKey& key, BootTime time);
  /// Forgets `key` when its last task went before `oldest_task` began: a new life of the same root.
  void forget_earlier_life(const RunKey& key, BootTime oldest_task);
  /// Forgets the runs that were delivered before `began` and that `is_live` does not know.
  template <typename Predicate>
  void retain(BootTime began, Predicate is_live) {
    std::erase_if(runs_, [&](const auto& entry) {
      return entry.second.delivered < began && !is_live(entry.first);
    });
  }

 private:
  static constexpr BootTime kFirstPause = std::chrono::seconds(1);
  static constexpr BootTime kLongestPause = std::chrono::seconds(60);

  struct Delivered {
    BootTime delivered{};
    std::optional<BootTime> emptied;
    bool lacks_layers = false;
    BootTime next_try{};  ///< of asking for the layers; later each time it was in vain
    BootTime pause = kFirstPause;
  };
  static bool completes(Delivered& run, const ContainerStart& start, BootTime now);

  std::unordered_map<RunKey, Delivered> runs_;
};

/// One sweep. Not thread-safe.
class Sweeper {
 public:
  Sweeper(ProbePrograms& programs, DeliveredRuns& delivered, const Clock& clock,
          const ProbeOptions& options)
      : programs_(programs), delivered_(delivered), clock_(clock), options_(options) {}

  /// Looks at all tasks; asks for the facts of runs that were not delivered whole, which arrive
  /// through the ring buffer of starts before this returns; gives back what lives. Blocks for some
  /// microseconds per task of the node. Errors: kCorrupt, kUnavailable.
  Result<SweepCompleted> sweep();

 private:
  struct SweptRun {
    ProcessKey oldest;
    std::uint32_t layer_count = 0;
    bool has_never_executed = true;
  };
  using SweptRuns = std::unordered_map<RunKey, SweptRun>;

  static SweptRuns group(const std::vector<SweptTask>& tasks);
  bool is_wanted(const RunKey& key, const SweptRun& run, BootTime now) const;
  Result<void> ask_for_facts(const std::vector<SweptRun>& wanted);
  void forget_dead(const SweptRuns& runs, BootTime began);

  ProbePrograms& programs_;
  DeliveredRuns& delivered_;
  const Clock& clock_;
  const ProbeOptions& options_;
};

}  // namespace assay::agent
