// SPDX-License-Identifier: Apache-2.0
// What one simulated agent tells: a function of the sequence alone, so that nothing is kept.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/outgoing.h"
#include "agent/core/ports.h"

namespace assay::tests {

struct NodeLoad {
  std::string cluster;
  std::string node;
  double events_per_second = 1;
  std::chrono::nanoseconds duration{};
  std::uint32_t open_runs = 20;
  std::uint32_t stacks = 10;
  std::uint32_t layers = 8;
};

/// Three events for each container: its start, its names, and the end of the one that started
/// `open_runs` before it. Thread-safe.
class SimulatedNode final : public agent::OutgoingEvents {
 public:
  explicit SimulatedNode(NodeLoad load);

  agent::Epoch epoch() const override { return epoch_; }
  std::uint64_t acknowledged() const override { return acknowledged_; }
  bool resume(std::uint64_t acknowledged) override;
  Result<std::vector<agent::OutgoingEvent>> read_after(std::uint64_t sequence,
                                                       std::uint64_t max_bytes) override;
  std::optional<std::string> describe(const StackDigest& digest) override;
  void acknowledge(std::uint64_t sequence) override;

  /// Begins to make events.
  void begin(std::chrono::steady_clock::time_point now);
  /// Events made so far; all of them once the duration is over.
  std::uint64_t made() const;
  std::uint64_t total() const { return total_; }
  std::uint64_t runs() const { return (total_ + 2) / 3; }
  std::uint64_t open_at_end() const;

 private:
  agent::AgentEvent event_at(std::uint64_t sequence) const;
  agent::RunStarted start_of(std::uint64_t container) const;
  std::string run_id(std::uint64_t container) const;

  const NodeLoad load_;
  const std::uint64_t total_;
  const WallTime wall_start_;
  agent::Epoch epoch_{};
  std::vector<catalog::Stack> stacks_;
  std::vector<StackDigest> digests_;
  std::atomic<std::chrono::steady_clock::time_point> began_{};
  std::atomic<std::uint64_t> acknowledged_{0};
};

}  // namespace assay::tests
