// SPDX-License-Identifier: Apache-2.0
// The auditor's Journal: encoded events go into the outbox.
#pragma once

#include "agent/core/ports.h"
#include "agent/outbox/outbox.h"
#include "common/base/clock.h"

namespace assay::agent {

/// Limits on what a container may put into an event.
struct RecordingLimits {
  bool arguments = true;
  std::size_t max_argument_bytes = 1024;  ///< all arguments of one exec together
};

/// Thread-safe.
class OutboxJournal final : public Journal {
 public:
  OutboxJournal(Outbox& outbox, const Clock& clock, RecordingLimits limits)
      : outbox_(outbox), clock_(clock), limits_(limits) {}

  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override;
  /// The event that says what the outbox itself had to drop.
  NewEvent make_gap(const DroppedEvents& dropped) const;

 private:
  NewEvent encode(const AgentEvent& event, const catalog::Stack* stack) const;

  Outbox& outbox_;
  const Clock& clock_;
  const RecordingLimits limits_;
};

/// Which events a full outbox keeps longest.
EventPriority priority_of(const AgentEvent& event);

/// Cuts `arguments` to the limits; true when something was cut.
bool limit_arguments(std::vector<std::string>& arguments, const RecordingLimits& limits);

}  // namespace assay::agent
