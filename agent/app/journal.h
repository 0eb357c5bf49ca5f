// SPDX-License-Identifier: Apache-2.0
// The auditor's Journal: encoded events go into the outbox.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "agent/core/ports.h"
#include "agent/outbox/outbox.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Limits on what a container may put into an event.
struct RecordingLimits {
  bool arguments = true;
  std::size_t max_argument_bytes = 1024;  ///< all arguments of one exec together
};

/// The encoded descriptions of the stacks that were named last: starts name the same ones again and
/// again, and merging what all layers say of themselves is too slow for each start. Thread-safe.
class DescribedStacks {
 public:
  explicit DescribedStacks(std::size_t max_stacks) : max_stacks_(max_stacks) {}
  /// encode_stack() of `stack`, which has the digest `digest`.
  std::string describe(const StackDigest& digest, const catalog::Stack& stack);

 private:
  const std::size_t max_stacks_;
  Mutex mutex_;
  std::map<StackDigest, std::string> descriptions_ ASSAY_GUARDED_BY(mutex_);
  std::deque<StackDigest> order_ ASSAY_GUARDED_BY(mutex_);  // oldest first
};

/// Thread-safe.
class OutboxJournal final : public Journal {
 public:
  OutboxJournal(Outbox& outbox, const Clock& clock, RecordingLimits limits)
      : outbox_(outbox), clock_(clock), limits_(limits) {}

  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override;
  /// The event that says what the outbox itself had to drop.
  NewEvent make_gap(const DroppedEvents& dropped);

 private:
  NewEvent encode(const AgentEvent& event, const catalog::Stack* stack);

  Outbox& outbox_;
  const Clock& clock_;
  const RecordingLimits limits_;
  DescribedStacks described_{256};
};

/// Which events a full outbox keeps longest.
EventPriority priority_of(const AgentEvent& event);

/// Cuts `arguments` to the limits; true when something was cut.
bool limit_arguments(std::vector<std::string>& arguments, const RecordingLimits& limits);

}  // namespace assay::agent
