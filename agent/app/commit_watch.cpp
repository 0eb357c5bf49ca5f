// SPDX-License-Identifier: Apache-2.0
#include "agent/app/commit_watch.h"

#include <optional>

namespace assay::agent {

void CommitWatch::on_recorded(const Checkpoint& checkpoint) {
  const std::uint64_t recorded = ports_.recorded();
  {
    const MutexLock lock(mutex_);
    waiting_.push_back({checkpoint.ticket, recorded});
  }
  look();
}

void CommitWatch::look() {
  const std::uint64_t stored = ports_.stored();
  const MutexLock lock(mutex_);
  std::optional<std::uint64_t> newest;
  while (!waiting_.empty() && waiting_.front().recorded <= stored) {
    newest = waiting_.front().ticket;
    waiting_.pop_front();
  }
  if (newest) ports_.on_stored(*newest);
}

}  // namespace assay::agent
