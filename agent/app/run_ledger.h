// SPDX-License-Identifier: Apache-2.0
// What became of each run, by the events that an auditor records.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// Not thread-safe.
class RunLedger {
 public:
  struct Run {
    RunStarted started;  ///< with the stack, the names and the verdict of now
    std::optional<RunEnded> ended;
    std::vector<std::string> claim_conflicts;
    std::vector<RunNoisy> noisy;
    std::vector<ExecSeen> execs;
    catalog::Recognition recognition = {};
  };
  using StackPtr = std::shared_ptr<const catalog::Stack>;  // shared with the auditor

  void take(const AgentEvent& event, const StackPtr& stack);
  /// In the order of their starts.
  const std::vector<Run>& runs() const { return runs_; }
  /// Of a run; null when it was never described.
  StackPtr stack_of(const Run& run) const;
  const std::vector<EvidenceGap>& gaps() const { return gaps_; }

 private:
  void on(const RunStarted& event);
  void on(const RunEnded& event);
  void on(const StackAdvanced& event);
  void on(const RunNamed& event);
  void on(const ExecSeen& event);
  void on(const EvidenceGap& event) { gaps_.push_back(event); }
  void on(const RunNoisy& event);
  void on(const RunViewed& event);
  void on(const RunPresent&) {}  // what is known already
  void on(const StateBegun&) {}
  void on(const StateCompleted&) {}
  Run* find(const RunId& id);

  std::vector<Run> runs_;
  std::unordered_map<RunId, std::size_t> by_id_;
  std::map<StackDigest, StackPtr> stacks_;
  std::vector<EvidenceGap> gaps_;
};

}  // namespace assay::agent
