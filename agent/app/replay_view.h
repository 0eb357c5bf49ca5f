// SPDX-License-Identifier: Apache-2.0
// What came of a replay, as JSON for people and tests.
#pragma once

#include <string>
#include <vector>

#include "agent/app/journal.h"
#include "agent/app/replay.h"
#include "agent/app/run_ledger.h"
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
  const Clock& clock_;
  const bool keeps_events_;
  RunLedger ledger_;
  std::vector<std::string> events_;  ///< JSON
};

}  // namespace assay::agent
