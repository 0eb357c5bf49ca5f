// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/sweeper.h"

#include <algorithm>
#include <utility>

namespace assay::agent {
namespace {

// What the facts of one run take in the ring buffer, at most.
std::uint64_t facts_bytes(std::uint32_t layer_count) {
  const std::uint64_t records = layer_count / ASSAY_LAYERS_PER_RECORD + 1;
  return sizeof(assay_start) + sizeof(assay_lowerdir) + records * sizeof(assay_layers);
}

}  // namespace

bool DeliveredRuns::accept(const ContainerStart& start, BootTime now) {
  const auto known = runs_.find(start.key);
  if (known != runs_.end()) {
    // A sweep's start may describe the life that was told of; another one is a new life only after
    // the last task of the earlier one went.
    if (start.cause == StartCause::kSweep) return completes(known->second, start, now);
    if (!known->second.emptied) return false;
    runs_.erase(known);
  }
  Delivered delivered;
  delivered.delivered = now;
  delivered.lacks_layers = lacks_layers(start);
  runs_.emplace(start.key, delivered);
  return true;
}

bool DeliveredRuns::completes(Delivered& run, const ContainerStart& start, BootTime now) {
  if (!run.lacks_layers) return false;
  run.lacks_layers = lacks_layers(start);
  if (!run.lacks_layers) return true;
  run.next_try = now + run.pause;
  run.pause = std::min(2 * run.pause, kLongestPause);
  return false;
}

bool DeliveredRuns::wants_layers(const RunKey& key, BootTime now) const {
  const auto known = runs_.find(key);
  return known != runs_.end() && known->second.lacks_layers && known->second.next_try <= now;
}

void DeliveredRuns::mark_emptied(const RunKey& key, BootTime time) {
  const auto known = runs_.find(key);
  if (known != runs_.end()) known->second.emptied = time;
}

void DeliveredRuns::forget_earlier_life(const RunKey& key, BootTime oldest_task) {
  const auto known = runs_.find(key);
  if (known == runs_.end() || !known->second.emptied) return;
  if (*known->second.emptied < oldest_task)
    runs_.erase(known);
  else
    known->second.emptied.reset();  // the hint was wrong: a task lived on
}

Sweeper::SweptRuns Sweeper::group(const std::vector<SweptTask>& tasks) {
  SweptRuns runs;
  for (const SweptTask& task : tasks) {
    const auto [position, is_new] = runs.try_emplace(task.key);
    SweptRun& run = position->second;
    // The oldest that has executed something speaks for the run; a runtime's helper does not.
    const bool is_better = task.has_never_executed == run.has_never_executed
                               ? task.process.start < run.oldest.start
                               : !task.has_never_executed;
    if (is_new || is_better) run.oldest = task.process;
    run.layer_count = task.layer_count;
    run.has_never_executed = run.has_never_executed && task.has_never_executed;
  }
  return runs;
}

bool Sweeper::is_wanted(const RunKey& key, const SweptRun& run, BootTime now) const {
  if (delivered_.contains(key)) return delivered_.wants_layers(key, now);
  return !run.has_never_executed || now - run.oldest.start >= options_.never_executed_age;
}

Result<void> Sweeper::ask_for_facts(const std::vector<SweptRun>& wanted) {
  std::vector<std::uint32_t> tgids;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    tgids.push_back(wanted[i].oldest.tgid);
    bytes += facts_bytes(wanted[i].layer_count);
    // Half of the buffer stays free for starts that happen meanwhile.
    const std::uint64_t next = i + 1 < wanted.size() ? facts_bytes(wanted[i + 1].layer_count) : 0;
    if (i + 1 < wanted.size() && tgids.size() < ProbePrograms::kMaxWanted &&
        bytes + next <= options_.start_ring_bytes / 2)
      continue;
    ASSAY_TRY(programs_.sweep_facts(tgids));
    ASSAY_TRY(programs_.consume_starts());
    tgids.clear();
    bytes = 0;
  }
  return ok();
}

void Sweeper::forget_dead(const SweptRuns& runs, BootTime began) {
  const auto is_live = [&](const RunKey& key) { return runs.contains(key); };
  delivered_.retain(began, is_live);
  programs_.forget_runs([&](const assay_run_key& key, const assay_run& run) {
    return run.known_since_boot_ns < static_cast<std::uint64_t>(began.count()) &&
           !is_live(to_run_key(key));
  });
}

Result<SweepCompleted> Sweeper::sweep() {
  SweepCompleted completed;
  completed.began = clock_.boot_now();
  ASSAY_ASSIGN(const std::string records, programs_.sweep_keys());
  ASSAY_ASSIGN(const std::vector<SweptTask> tasks, decode_swept_tasks(records));
  // What started or ended before the tasks were looked at is told first.
  ASSAY_TRY(programs_.consume_starts());
  const SweptRuns runs = group(tasks);
  std::vector<SweptRun> wanted;
  for (const auto& [key, run] : runs) {
    delivered_.forget_earlier_life(key, run.oldest.start);
    if (is_wanted(key, run, completed.began)) wanted.push_back(run);
  }
  ASSAY_TRY(ask_for_facts(wanted));
  for (const auto& [key, run] : runs)
    (delivered_.contains(key) ? completed.live : completed.untold).push_back(key);
  forget_dead(runs, completed.began);
  completed.completed = clock_.boot_now();
  return completed;
}

}  // namespace assay::agent
