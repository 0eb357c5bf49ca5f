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
  explicit Recorder(Judging& judging) : judging_(judging) {}

  /// What is committed of the epoch, and the stacks that the node still owes.
  Result<BatchOutcome> open_epoch(StoreWriter& store, const NodeKey& node, const Epoch& epoch);
  /// Errors: kInvalidArgument (a hole in the sequences; the message says what is expected).
  Result<BatchOutcome> apply(StoreWriter& store, const NodeKey& node, const Epoch& epoch,
                             const Batch& batch, WallTime now);
  Result<void> catalog_refused(StoreWriter& store, const NodeKey& node, std::uint64_t sequence,
                               const std::string& reason, WallTime now);
  /// The highest sequence that the node refused, with its finding still open.
  Result<std::optional<std::uint64_t>> refused_sequence(StoreWriter& store, const NodeKey& node);
  Result<void> catalog_accepted(StoreWriter& store, const NodeKey& node, WallTime now);

  const RecorderCounts& counts() const { return counts_; }

 private:
  struct Context;
  Result<void> follow(Context& context, const Event& event, std::uint64_t acknowledged);
  Result<void> on(Context& context, std::monostate event);
  Result<void> on(Context& context, const RunStarted& event);
  Result<void> on(Context& context, const RunEnded& event);
  Result<void> on(Context& context, const StackAdvanced& event);
  Result<void> on(Context& context, const RunNamed& event);
  Result<void> on(Context& context, const ExecSeen& event);
  Result<void> on(Context& context, const EvidenceGap& event);
  Result<void> on(Context& context, const RunNoisy& event);
  Result<JudgedStack> stack_of(Context& context, const std::optional<StackDigest>& digest);
  Result<void> start_again(Context& context, const RunStarted& event, const JudgedStack& stack);
  bool differs(const RunStarted& event, const JudgedStack& stack);

  Judging& judging_;
  RecorderCounts counts_;
};

}  // namespace assay::collector
