// SPDX-License-Identifier: Apache-2.0
// Full states of nodes: when one is asked for, what it repairs, and the finding that tells of the
// gap it answers.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "collector/core/events.h"
#include "collector/core/judging.h"
#include "collector/core/ports.h"

namespace assay::collector {

/// Counts for metrics. Thread-safe.
struct ReconcilerCounts {
  std::atomic<std::uint64_t> gaps{0};      ///< findings opened
  std::atomic<std::uint64_t> requests{0};  ///< full states asked for
  std::atomic<std::uint64_t> states{0};    ///< completed
  std::atomic<std::uint64_t> torn{0};      ///< that were not whole
  std::atomic<std::uint64_t> added{0};     ///< runs that were not known
  std::atomic<std::uint64_t> reopened{0};  ///< runs that were held for ended
  std::atomic<std::uint64_t> ended{0};     ///< runs that were held for running
};

/// Everything it knows is in the store, in the same transaction as what it follows from: a crash
/// loses nothing and repeats nothing. Not thread-safe but for counts(): of the commit thread.
class Reconciler {
 public:
  /// `max_runs`: how many runs one transaction ends.
  Reconciler(Judging& judging, int max_runs) : judging_(judging), max_runs_(max_runs) {}

  /// The node at hand; whoever calls loads `state` before and saves it after.
  struct Subject {
    StoreWriter& store;
    NodeId node{};
    NodeState& state;
    WallTime now{};
  };

  /// An agent connected. Wants a state when its outbox is a new one, when another store
  /// acknowledged what this one never saw, or when the node was booted since. The epoch's row as it
  /// is saved.
  Result<EpochRow> open_epoch(const Subject& subject, const AgentInfo& agent);
  /// Sequences were passed over that the agent no longer holds: dropped at its outbox's limit, of
  /// which it tells by itself.
  void on_skipped(const Subject& subject);
  void begin(const Subject& subject, std::int64_t time_ns);
  /// One run of the state being told; nothing happens when none is.
  Result<void> told(const Subject& subject, RunKey run, bool is_new, bool is_reopened);
  Result<void> complete(const Subject& subject, const StateCompleted& event);
  static std::optional<StateWish> wish(const NodeState& state);

  /// Runs are left to end, or may have been left before a restart.
  bool has_ending() const { return has_ending_; }
  /// Ends some of them. False: nothing is left.
  Result<bool> end_some(StoreWriter& store, WallTime now);

  const ReconcilerCounts& counts() const { return counts_; }

 private:
  void want(NodeState& state, const std::string& because);
  Result<void> open_gap(const Subject& subject, std::int64_t from_ns, std::uint64_t missing,
                        const std::string& why);
  Result<void> end_untold(const Subject& subject);
  Result<void> tell_outcome(const Subject& subject);

  Judging& judging_;
  const int max_runs_;
  bool has_ending_ = true;  // of an earlier life: end_some() finds out
  ReconcilerCounts counts_;
};

}  // namespace assay::collector
