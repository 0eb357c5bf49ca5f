// SPDX-License-Identifier: Apache-2.0
#include "agent/app/commit_watch.h"

#include <optional>

namespace assay::agent {

void CommitWatch::on_recorded(const Checkpoint& checkpoint) {
  const Progress recorded = ports_.recorded();
  {
    const MutexLock lock(mutex_);
    waiting_.push_back({checkpoint, recorded});
  }
  look();
}

void CommitWatch::look() {
  const Progress stored = ports_.stored();
  const MutexLock lock(mutex_);
  std::optional<Checkpoint> newest;
  while (!waiting_.empty() && waiting_.front().recorded.outbox <= stored.outbox &&
         waiting_.front().recorded.state <= stored.state) {
    newest = waiting_.front().checkpoint;
    waiting_.pop_front();
  }
  if (newest) ports_.on_stored(*newest);
}

}  // namespace assay::agent
