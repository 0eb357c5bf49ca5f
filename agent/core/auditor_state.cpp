// SPDX-License-Identifier: Apache-2.0
// The auditor's full states: every open run told once more, when the collector missed something.
#include "agent/core/auditor.h"

namespace assay::agent {

void Auditor::keep_facts(Run& run, const ContainerStart& start) {
  ContainerStart facts = start;
  facts.layers = {};
  const std::size_t bytes = memory_of(facts);
  if (fact_bytes_ + bytes > config_.max_fact_bytes) return;
  fact_bytes_ += bytes;
  run.facts = std::make_unique<const ContainerStart>(std::move(facts));
}

void Auditor::on_state_request(std::uint64_t request) {
  if (state_.ask(request, ports_.clock.boot_now())) ports_.source.request_sweep();
}

void Auditor::begin_state() {
  std::vector<RunKey> keys;
  keys.reserve(runs_.size() + resumed_.size());
  for (const auto& [key, run] : runs_)
    keys.push_back(key);
  for (const auto& [key, run] : resumed_)  // they live, but their facts are still to come
    keys.push_back(key);
  ports_.journal.record(StateBegun{state_.begin(std::move(keys), ports_.clock.boot_now())},
                        nullptr);
  tell_state();
}

void Auditor::tell_state() {
  const std::vector<RunKey> keys = state_.next(config_.runs_per_turn);
  for (const RunKey& key : keys)
    if (tell_run(key)) state_.count_told();
  if (keys.size() == config_.runs_per_turn) return;  // on_tick() goes on
  ports_.journal.record(
      StateCompleted{state_.complete(), ports_.source.health().loss, catalog_->sequence()},
      nullptr);
  ports_.open_runs.set_complete();
}

/// False: it ended meanwhile, which was told.
bool Auditor::tell_run(const RunKey& key) {
  RunPresent present;
  if (const auto found = runs_.find(key); found != runs_.end()) {
    const Run& run = found->second;
    ContainerStart facts;
    facts.key = key;
    facts.cause = StartCause::kSweep;
    facts.process.key = run.first_process;
    facts.mount_namespace = run.mount_namespace;
    if (run.facts) facts = *run.facts;
    facts.time = run.started_boot;  // of a run from before a restart its facts are younger
    present.run = describe(run, std::move(facts));
    present.claim_conflicts = run.told.conflicts;
    present.view = run.look.view;
    present.recognition = run.told.recognition;
    const auto& stack = stacks_.find(run.stack)->stack;
    ports_.journal.record(std::move(present), run.resumed_from ? nullptr : stack);
    return true;
  }
  const auto found = resumed_.find(key);
  if (found == resumed_.end()) return false;
  const OpenRun& run = found->second.run;
  present.run.run_id = run.run_id;
  present.run.is_late = true;
  present.run.started = run.started;
  present.run.start.key = key;
  present.run.start.time = run.started_boot;
  present.run.start.cause = StartCause::kSweep;
  present.run.start.process.key = run.first_process;
  present.run.stack = run.stack;
  ports_.journal.record(std::move(present), nullptr);
  return true;
}

}  // namespace assay::agent
