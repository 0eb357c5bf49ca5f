// SPDX-License-Identifier: Apache-2.0
// What came of a replay, as JSON for people and tests.
#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "agent/app/journal.h"
#include "agent/app/replay.h"
#include "agent/core/ports.h"
#include "common/base/clock.h"

namespace assay::agent {

/// A journal that keeps, of each run, what is known of it in the end; and each event as it would be
/// sent, when asked to. Not thread-safe.
class ReplayView final : public Journal {
 public:
  /// `clock` outlives the view.
  ReplayView(const Clock& clock, bool keeps_events) : clock_(clock), keeps_events_(keeps_events) {}

  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override;
  /// One object: docs/agent.md "Replay".
  std::string to_json(const RecordingHeader& header, const ReplayReport& report) const;

 private:
  struct Run {
    RunStarted started;
    std::optional<RunEnded> ended;
    std::vector<std::string> claim_conflicts;
    std::vector<RunNoisy> noisy;
    std::vector<ExecSeen> execs;
  };
  void on(const RunStarted& event);
  void on(const RunEnded& event);
  void on(const StackAdvanced& event);
  void on(const RunNamed& event);
  void on(const ExecSeen& event);
  void on(const EvidenceGap& event);
  void on(const RunNoisy& event);
  void on(const RunViewed&) {}   // no root is looked into
  void on(const RunPresent&) {}  // what is known already
  void on(const StateBegun&) {}
  void on(const StateCompleted&) {}

  const Clock& clock_;
  const bool keeps_events_;
  std::vector<Run> runs_;  ///< in the order of their starts
  std::unordered_map<RunId, std::size_t> by_id_;
  std::map<StackDigest, std::shared_ptr<const catalog::Stack>> stacks_;
  std::vector<EvidenceGap> gaps_;
  std::vector<std::string> events_;  ///< JSON
};

}  // namespace assay::agent
