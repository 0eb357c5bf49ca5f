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
  struct Ports {
    std::function<std::uint64_t()> recorded;  ///< events ever appended to the outbox
    std::function<std::uint64_t()> stored;    ///< how many of them are on disk
    /// Ticket of the newest checkpoint that is stored; on the thread that found out.
    std::function<void(std::uint64_t)> on_stored;
  };
  explicit CommitWatch(Ports ports) : ports_(std::move(ports)) {}

  /// All that was told before `checkpoint` has been recorded. Call in the order of checkpoints.
  void on_recorded(const Checkpoint& checkpoint);
  /// Looks what is stored by now: after a commit, and about once a second.
  void look();

 private:
  struct Waiting {
    std::uint64_t ticket = 0;
    std::uint64_t recorded = 0;
  };

  const Ports ports_;
  Mutex mutex_;
  std::deque<Waiting> waiting_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::agent
