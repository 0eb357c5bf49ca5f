// SPDX-License-Identifier: Apache-2.0
// Tells the source what it may forget: a checkpoint whose events are on disk.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "agent/core/ports.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Thread-safe.
class CommitWatch {
 public:
  /// How much was ever recorded, and how much of it is stored, in each of the two files.
  struct Progress {
    std::uint64_t outbox = 0;
    std::uint64_t state = 0;
  };
  struct Ports {
    std::function<Progress()> recorded;
    std::function<Progress()> stored;
    /// Of the newest checkpoint that is stored; on the thread that found out.
    std::function<void(const Checkpoint&)> on_stored;
  };
  explicit CommitWatch(Ports ports) : ports_(std::move(ports)) {}

  /// All that was told before `checkpoint` has been recorded. Call in the order of checkpoints.
  void on_recorded(const Checkpoint& checkpoint);
  /// Looks what is stored by now: after a commit, and about once a second.
  void look();

 private:
  struct Waiting {
    Checkpoint checkpoint;
    Progress recorded;
  };

  const Ports ports_;
  Mutex mutex_;
  std::deque<Waiting> waiting_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::agent
