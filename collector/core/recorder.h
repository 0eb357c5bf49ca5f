// SPDX-License-Identifier: Apache-2.0
// Applies what agents report to the store, inside the commit thread's transaction.
#pragma once

#include <atomic>
#include <cstdint>
#include <variant>
#include <vector>

#include "collector/core/events.h"
#include "collector/core/judging.h"
#include "collector/core/ports.h"
#include "collector/core/reconciler.h"

namespace assay::collector {

/// Counts for metrics. Thread-safe.
struct RecorderCounts {
  std::atomic<std::uint64_t> events{0};
  std::atomic<std::uint64_t> duplicates{0};  ///< sequences that were there already
  std::atomic<std::uint64_t> strays{0};      ///< of runs or stacks that are not known
  std::atomic<std::uint64_t> verdict_differences{
      0};  ///< agent and collector, same catalog sequence
};

/// Not thread-safe but for counts(): it belongs to the commit thread.
class Recorder {
 public:
  /// `max_runs`: how many runs one transaction ends after a full state.
  explicit Recorder(Judging& judging, int max_runs = 1000)
      : judging_(judging), reconciler_(judging, max_runs) {}

  /// What is committed of the epoch, and what the node still owes: stacks, its full state.
  Result<BatchOutcome> open_epoch(StoreWriter& store, const NodeKey& node, const AgentInfo& agent,
                                  WallTime now);
  /// Errors: kInvalidArgument (a hole in the sequences; the message says what is expected).
  Result<BatchOutcome> apply(StoreWriter& store, const NodeKey& node, const Epoch& epoch,
                             const Batch& batch, WallTime now);
  Result<void> catalog_refused(StoreWriter& store, const NodeKey& node, std::uint64_t sequence,
                               const std::string& reason, WallTime now);
  /// The highest sequence that the node refused, with its finding still open.
  Result<std::optional<std::uint64_t>> refused_sequence(StoreWriter& store, const NodeKey& node);
  Result<void> catalog_accepted(StoreWriter& store, const NodeKey& node, WallTime now);
  Result<void> identity_conflict(StoreWriter& store, const NodeKey& node, const std::string& reason,
                                 WallTime now);

  /// See Reconciler.
  bool has_ending() const { return reconciler_.has_ending(); }
  Result<bool> end_some(StoreWriter& store, WallTime now) {
    return reconciler_.end_some(store, now);
  }
  const RecorderCounts& counts() const { return counts_; }
  const ReconcilerCounts& reconciler_counts() const { return reconciler_.counts(); }

 private:
  struct Context;
  Result<void> follow(Context& context, const Event& event, std::uint64_t acknowledged);
  Result<void> on(Context& context, std::monostate event);
  Result<void> on(Context& context, const RunStarted& event);
  Result<void> on(Context& context, const RunEnded& event);
  Result<void> on(Context& context, const StackAdvanced& event);
  Result<void> on(Context& context, const RunNamed& event);
  Result<void> on(Context& context, const ExecSeen& event);
  Result<void> tell_foreign(Context& context, const OpenRun& run, const Exec& exec);
  Result<void> on(Context& context, const EvidenceGap& event);
  Result<void> on(Context& context, const RunNoisy& event);
  Result<void> on(Context& context, const RunViewed& event);
  static Result<bool> take_kind(StoreWriter& store, OpenRun& run, const std::string& kind);
  static Result<bool> take_recognition(StoreWriter& store, OpenRun& run,
                                       const ContainerNames& names,
                                       const catalog::Recognition& told);
  static Result<void> take_view(StoreWriter& store, OpenRun& run, const catalog::View& view);
  Result<void> on(Context& context, const StateBegun& event);
  Result<void> on(Context& context, const RunPresent& event);
  Result<void> on(Context& context, const StateCompleted& event);
  Result<JudgedStack> stack_of(Context& context, const std::optional<StackDigest>& digest);
  Result<void> start_again(Context& context, const RunStarted& event, const JudgedStack& stack);
  bool differs(const RunStarted& event, const JudgedStack& stack, WallTime now);

  Judging& judging_;
  Reconciler reconciler_;
  RecorderCounts counts_;
};

}  // namespace assay::collector
