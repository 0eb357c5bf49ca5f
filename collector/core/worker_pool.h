// SPDX-License-Identifier: Apache-2.0
// Threads for calls that block on disk, so that gRPC's own few threads stay free for the agents.
#pragma once

#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

#include "common/base/bounded_queue.h"

namespace assay::collector {

/// Thread-safe. Destroying it runs what was accepted, then stops.
class WorkerPool {
 public:
  WorkerPool(int threads, std::size_t max_waiting);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  /// False: too much waits.
  bool post(std::function<void()> work) { return queue_.try_push(std::move(work)); }

 private:
  BoundedQueue<std::function<void()>> queue_;
  std::vector<std::jthread> threads_;
};

}  // namespace assay::collector
