// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/delivered_runs.h"

#include <algorithm>

namespace assay::agent {

bool DeliveredRuns::accept(const ContainerStart& start, BootTime now) {
  const auto known = runs_.find(start.key);
  if (known != runs_.end()) {
    // A sweep's start may describe the life that was told of; another one is a new life only after
    // the last task of the earlier one went.
    if (start.cause == StartCause::kSweep) return completes(known->second, start, now);
    if (!known->second.emptied && !begins_another_life(start, known->second.first)) return false;
    runs_.erase(known);
  }
  Delivered delivered;
  delivered.delivered = now;
  delivered.first = start.process.key;
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

void DeliveredRuns::forget_earlier_life(const RunKey& key, BootTime oldest_task, BootTime swept) {
  const auto known = runs_.find(key);
  if (known == runs_.end() || !known->second.emptied) return;
  if (*known->second.emptied < oldest_task)
    runs_.erase(known);
  else if (*known->second.emptied < swept)
    known->second.emptied.reset();  // the hint was wrong: a task lived on
  // Else the task may have gone after the sweep saw it.
}

}  // namespace assay::agent
