// SPDX-License-Identifier: Apache-2.0
#include "agent/app/journal.h"

#include "agent/uplink/event_codec.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxTold = 10'000;

bool is_bad_news(const catalog::Verdict& verdict) {
  switch (verdict.status) {
    case catalog::VerdictStatus::kRevoked:
    case catalog::VerdictStatus::kExpired:
    case catalog::VerdictStatus::kUnknown:
      return true;
    default:
      return !verdict.contradictions.empty();
  }
}

std::optional<StackDigest> stack_of(const AgentEvent& event) {
  if (const auto* run = std::get_if<RunStarted>(&event)) return run->stack;
  if (const auto* stack = std::get_if<StackAdvanced>(&event)) return stack->to;
  if (const auto* present = std::get_if<RunPresent>(&event)) return present->run.stack;
  if (const auto* viewed = std::get_if<RunViewed>(&event)) return viewed->stack;
  return std::nullopt;
}

void limit_run(RunStarted& run, const RecordingLimits& limits) {
  run.start.arguments_truncated |= limit_arguments(run.start.arguments, limits);
  limits.labels.apply(run.names.labels);
}

void limit_event(AgentEvent& event, const RecordingLimits& limits) {
  if (auto* run = std::get_if<RunStarted>(&event)) limit_run(*run, limits);
  if (auto* present = std::get_if<RunPresent>(&event)) limit_run(present->run, limits);
  if (auto* named = std::get_if<RunNamed>(&event)) limits.labels.apply(named->names.labels);
  if (auto* exec = std::get_if<ExecSeen>(&event))
    exec->exec.arguments_truncated |= limit_arguments(exec->exec.arguments, limits);
}

std::optional<DroppedEvents> gap_in(const AgentEvent& event) {
  const auto* gap = std::get_if<EvidenceGap>(&event);
  if (gap == nullptr) return std::nullopt;
  return DroppedEvents{gap->lost, gap->from, gap->until, gap->reason};
}

}  // namespace

EventPriority priority_of(const AgentEvent& event) {
  if (std::holds_alternative<EvidenceGap>(event) || std::holds_alternative<RunNoisy>(event))
    return EventPriority::kFinding;
  if (std::holds_alternative<ExecSeen>(event)) return EventPriority::kRoutine;
  const auto* run = std::get_if<RunStarted>(&event);
  const auto* stack = std::get_if<StackAdvanced>(&event);
  const auto* named = std::get_if<RunNamed>(&event);
  const auto* viewed = std::get_if<RunViewed>(&event);
  if (viewed && viewed->view.state == catalog::ViewState::kDiffers) return EventPriority::kFinding;
  if (named && (!named->claim_conflicts.empty() || !named->recognition.conflicts.empty() ||
                named->recognition.state == catalog::RecognitionState::kUnknown))
    return EventPriority::kFinding;
  if (stack && stack->is_of_running) return EventPriority::kFinding;  // tampered
  const bool is_bad = (run && is_bad_news(run->verdict)) || (stack && is_bad_news(stack->verdict));
  return is_bad ? EventPriority::kFinding : EventPriority::kRun;
}

bool limit_arguments(std::vector<std::string>& arguments, const RecordingLimits& limits) {
  if (limits.redactor && limits.arguments) limits.redactor->redact(arguments);
  std::size_t left = limits.arguments ? limits.max_argument_bytes : 0;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].size() <= left) {
      left -= arguments[i].size();
      continue;
    }
    arguments[i].resize(left);
    arguments.resize(left == 0 ? i : i + 1);
    return true;
  }
  return false;
}

std::string DescribedStacks::describe(const StackDigest& digest, const catalog::Stack& stack) {
  {
    const MutexLock lock(mutex_);
    if (const auto known = descriptions_.find(digest); known != descriptions_.end())
      return known->second;
  }
  std::string description = encode_stack(stack);
  const MutexLock lock(mutex_);
  if (descriptions_.emplace(digest, description).second) order_.push_back(digest);
  if (order_.size() > max_stacks_) {
    descriptions_.erase(order_.front());
    order_.pop_front();
  }
  return description;
}

void OutboxJournal::set_limits(RecordingLimits limits) {
  const MutexLock lock(mutex_);
  limits_ = std::move(limits);
}

void OutboxJournal::record(AgentEvent event, std::shared_ptr<const catalog::Stack> stack) {
  RecordingLimits limits;
  {
    const MutexLock lock(mutex_);
    limits = limits_;
  }
  limit_event(event, limits);
  NewEvent encoded = encode(event, stack.get());
  encoded.priority = merged_priority(event);
  outbox_.append(std::move(encoded));
}

EventPriority OutboxJournal::merged_priority(const AgentEvent& event) {
  const EventPriority priority = priority_of(event);
  const auto stack = stack_of(event);
  if (priority != EventPriority::kFinding || !stack) return priority;
  if (const auto* moved = std::get_if<StackAdvanced>(&event); moved && moved->is_of_running)
    return priority;
  if (std::holds_alternative<RunViewed>(event)) return priority;
  const auto* run = std::get_if<RunStarted>(&event);
  const catalog::Verdict& verdict = run ? run->verdict : std::get<StackAdvanced>(event).verdict;
  const MutexLock lock(mutex_);
  if (told_.size() >= kMaxTold) told_.clear();
  return told_.emplace(*stack, verdict.status).second ? priority : EventPriority::kRun;
}

NewEvent OutboxJournal::make_gap(const DroppedEvents& dropped) {
  {
    const MutexLock lock(mutex_);
    told_.clear();
  }
  return encode(EvidenceGap{dropped.from, dropped.until, dropped.reason, dropped.events}, nullptr);
}

std::vector<OpenRun> OutboxJournal::load() {
  auto runs = outbox_.open_runs(OfBoot::kThis);
  return runs ? std::move(*runs) : std::vector<OpenRun>();
}

std::vector<OpenRun> OutboxJournal::load_of_other_boots() {
  auto runs = outbox_.open_runs(OfBoot::kOther);
  return runs ? std::move(*runs) : std::vector<OpenRun>();
}

bool OutboxJournal::is_complete() {
  const auto complete = outbox_.is_complete();
  return complete && *complete;
}

void OutboxJournal::set_complete() {
  outbox_.set_complete();
}

std::optional<catalog::Stack> OutboxJournal::describe(const StackDigest& digest) {
  const auto description = outbox_.describe(digest);
  if (!description) return std::nullopt;
  auto stack = decode_stack(*description);
  return stack ? std::optional(std::move(*stack)) : std::nullopt;
}

NewEvent OutboxJournal::encode(const AgentEvent& event, const catalog::Stack* stack) {
  const EncodingTime now{clock_.wall_now(), clock_.boot_now()};
  NewEvent encoded;
  encoded.priority = priority_of(event);
  encoded.time = time_of(event, now.wall);
  encoded.payload = encode_event(event, now);
  encoded.stack = stack_of(event);
  encoded.change = change_of(event);
  encoded.gap = gap_in(event);
  if (stack != nullptr && encoded.stack)
    encoded.stack_description = described_.describe(*encoded.stack, *stack);
  return encoded;
}

}  // namespace assay::agent
