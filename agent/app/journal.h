// SPDX-License-Identifier: Apache-2.0
// The auditor's Journal: encoded events go into the outbox.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "agent/core/ports.h"
#include "agent/outbox/outbox.h"
#include "agent/privacy/label_rules.h"
#include "agent/privacy/redactor.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Limits on what of a container gets into an event.
struct RecordingLimits {
  bool arguments = true;
  std::size_t max_argument_bytes = 1024;               ///< all arguments of one exec together
  std::shared_ptr<const Redactor> redactor = nullptr;  ///< null: arguments stay as they are
  LabelRules labels = {};
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

/// A thousand runs on one bad stack are one finding: of them only the first event is kept as long
/// as findings are, the others as long as runs. Thread-safe; but what is read of the open runs is
/// read before the outbox starts.
class OutboxJournal final : public Journal, public OpenRuns {
 public:
  OutboxJournal(Outbox& outbox, const Clock& clock, RecordingLimits limits)
      : outbox_(outbox), clock_(clock), limits_(limits) {}
  /// Of events that are recorded from now on.
  void set_limits(RecordingLimits limits);

  void record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) override;
  /// The event that says what the outbox itself had to drop. From now on a finding counts as not
  /// told yet: the event that told of it may have gone.
  NewEvent make_gap(const DroppedEvents& dropped);

  /// What cannot be read counts as unknown: its containers are found again by the first sweep.
  std::vector<OpenRun> load() override;
  std::vector<OpenRun> load_of_other_boots() override;
  bool is_complete() override;
  void set_complete() override;
  std::optional<catalog::Stack> describe(const StackDigest& digest) override;

 private:
  NewEvent encode(const AgentEvent& event, const catalog::Stack* stack);
  EventPriority merged_priority(const AgentEvent& event);

  using Finding = std::pair<StackDigest, catalog::VerdictStatus>;

  Outbox& outbox_;
  const Clock& clock_;
  DescribedStacks described_{256};
  mutable Mutex mutex_;
  RecordingLimits limits_ ASSAY_GUARDED_BY(mutex_);
  std::set<Finding> told_ ASSAY_GUARDED_BY(mutex_);  // findings that some event in there tells of
};

/// Which events a full outbox keeps longest, each on its own.
EventPriority priority_of(const AgentEvent& event);

/// Takes secrets out of `arguments` and cuts them to the limits; true when something was cut.
bool limit_arguments(std::vector<std::string>& arguments, const RecordingLimits& limits);

}  // namespace assay::agent
