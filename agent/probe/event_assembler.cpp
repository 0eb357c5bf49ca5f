// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/event_assembler.h"

#include <utility>

namespace assay::agent {
namespace {

/// A map of the programs was full, so that they did not know the run: an exec like others.
ContainerExec exec_from(ContainerStart start) {
  ContainerExec exec;
  exec.key = start.key;
  exec.time = start.time;
  exec.process = std::move(start.process);
  if (!start.ancestors.empty()) exec.parent = std::move(start.ancestors.front());
  exec.uid = start.uid;
  exec.executable = std::move(start.executable);
  exec.arguments = std::move(start.arguments);
  exec.arguments_truncated = start.arguments_truncated;
  exec.is_from_upper = start.file.origin == catalog::ExecOrigin::kUpper;
  exec.file = std::move(start.file);
  return exec;
}

}  // namespace

Result<void> EventAssembler::on_start_record(std::string_view bytes, BootTime now) {
  ASSAY_ASSIGN(ProbeRecord record, decoder_.decode(bytes));
  if (auto* start = std::get_if<ContainerStart>(&record)) {
    deliver_start(std::move(*start), now);
  } else if (const auto* emptied = std::get_if<RunEmptied>(&record)) {
    delivered_.mark_emptied(emptied->key, emptied->time);
    sink_->on_emptied(*emptied);
  } else if (const auto* canary = std::get_if<CanarySeen>(&record)) {
    if (hooks_.on_canary) hooks_.on_canary(*canary);
  } else if (const auto* noise = std::get_if<NoiseSeen>(&record)) {
    if (hooks_.on_noise) hooks_.on_noise(*noise);
  }
  return ok();
}

void EventAssembler::deliver_start(ContainerStart start, BootTime now) {
  if (start.is_overlay && start.layers.empty() && hooks_.on_bare_overlay) hooks_.on_bare_overlay();
  if (!delivered_.accept(start, now)) {
    if (is_by_exec(start.cause)) sink_->on_exec(exec_from(std::move(start)));
    return;
  }
  if (!is_by_exec(start.cause) && hooks_.fill_command) hooks_.fill_command(start);
  sink_->on_start(std::move(start));
}

Result<void> EventAssembler::on_exec_record(std::string_view bytes) {
  ASSAY_ASSIGN(ProbeRecord record, decoder_.decode(bytes));
  auto* exec = std::get_if<ContainerExec>(&record);
  if (exec == nullptr) return ok();
  // Its start was put into the other buffer before this record was.
  if (!delivered_.contains(exec->key) && hooks_.read_starts) hooks_.read_starts();
  sink_->on_exec(std::move(*exec));
  return ok();
}

void EventAssembler::begin_sweep(BootTime began) {
  began_ = began;
  swept_.clear();
}

Result<void> EventAssembler::on_swept_tasks(std::string_view records) {
  ASSAY_ASSIGN(const std::vector<SweptTask> tasks, decode_swept_tasks(records));
  for (const SweptTask& task : tasks) {
    const auto [position, is_new] = swept_.try_emplace(task.key);
    SweptRun& run = position->second;
    // The oldest that has executed something speaks for the run; a runtime's helper does not.
    const bool is_better = task.has_never_executed == run.has_never_executed
                               ? task.process.start < run.oldest.start
                               : !task.has_never_executed;
    if (is_new || is_better) run.oldest = task.process;
    run.layer_count = task.layer_count;
    run.is_counted = run.is_counted || task.is_lost || task.is_start_due;
    run.is_due = run.is_due || task.is_start_due || task.is_exec_due;
    run.has_never_executed = run.has_never_executed && task.has_never_executed;
  }
  return ok();
}

std::vector<SweptRun> EventAssembler::wanted() {
  std::vector<SweptRun> runs;
  for (const auto& [key, run] : swept_) {
    delivered_.forget_earlier_life(key, run.oldest.start, began_);
    if (is_wanted(key, run)) runs.push_back(run);
  }
  return runs;
}

bool EventAssembler::is_wanted(const RunKey& key, const SweptRun& run) const {
  if (delivered_.contains(key)) return delivered_.wants_layers(key, began_);
  if (run.is_due && !is_first_sweep_) return false;
  return !run.has_never_executed || began_ - run.oldest.start >= never_executed_age_;
}

std::uint64_t EventAssembler::end_sweep(BootTime completed) {
  SweepCompleted sweep{began_, completed, {}, {}};
  std::uint64_t ended_untold = 0;
  for (const RunKey& key : untold_)
    if (!swept_.contains(key) && !delivered_.contains(key)) ++ended_untold;
  untold_.clear();
  has_due_ = false;
  for (const auto& [key, run] : swept_) {
    if (delivered_.contains(key)) {
      sweep.live.push_back(key);
      continue;
    }
    sweep.untold.push_back(key);
    has_due_ = has_due_ || run.is_due;
    if (!run.is_counted && (run.is_due || is_wanted(key, run))) untold_.insert(key);
  }
  is_first_sweep_ = false;
  delivered_.retain(began_, [this](const RunKey& key) { return swept_.contains(key); });
  sink_->on_sweep(std::move(sweep));
  return ended_untold;
}

}  // namespace assay::agent
