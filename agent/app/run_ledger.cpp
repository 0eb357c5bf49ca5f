// SPDX-License-Identifier: Apache-2.0
#include "agent/app/run_ledger.h"

namespace assay::agent {

void RunLedger::take(const AgentEvent& event, const StackPtr& stack) {
  if (stack) stacks_.emplace(catalog::digest_of(*stack), stack);
  std::visit([this](const auto& one) { on(one); }, event);
}

RunLedger::StackPtr RunLedger::stack_of(const Run& run) const {
  const auto found = run.started.stack ? stacks_.find(*run.started.stack) : stacks_.end();
  return found == stacks_.end() ? nullptr : found->second;
}

RunLedger::Run* RunLedger::find(const RunId& id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &runs_[found->second];
}

void RunLedger::on(const RunStarted& event) {
  by_id_[event.run_id] = runs_.size();
  runs_.push_back({event, std::nullopt, {}, {}, {}});
}

void RunLedger::on(const RunEnded& event) {
  if (Run* run = find(event.run_id)) run->ended = event;
}

void RunLedger::on(const StackAdvanced& event) {
  for (Run& run : runs_) {
    if (run.started.stack != event.from) continue;
    run.started.stack = event.to;
    run.started.verdict = event.verdict;
  }
}

void RunLedger::on(const RunNamed& event) {
  Run* run = find(event.run_id);
  if (run == nullptr) return;
  run->started.names = event.names;
  run->started.kind = event.kind;
  run->claim_conflicts = event.claim_conflicts;
  run->recognition = event.recognition;
}

void RunLedger::on(const RunViewed& event) {
  Run* run = find(event.run_id);
  if (run != nullptr && event.stack) run->started.stack = event.stack;
}

void RunLedger::on(const ExecSeen& event) {
  if (Run* run = find(event.run_id)) run->execs.push_back(event);
}

void RunLedger::on(const RunNoisy& event) {
  if (Run* run = find(event.run_id)) run->noisy.push_back(event);
}

}  // namespace assay::agent
