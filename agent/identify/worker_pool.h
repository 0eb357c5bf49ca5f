// SPDX-License-Identifier: Apache-2.0
// Threads that work off a bounded queue of jobs.
#pragma once

#include <cstddef>
#include <functional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "common/base/bounded_queue.h"

namespace assay::agent {

enum class WorkerPriority {
  kNormal,
  kIdle,  ///< SCHED_IDLE and idle I/O class: runs when nothing else on the node wants to
};

/// Jobs start in order. Destroying asks running jobs to stop, drops the waiting ones and joins.
class WorkerPool {
 public:
  using Job = std::function<void(const std::stop_token&)>;

  /// `name`: of the threads, at most 15 bytes.
  WorkerPool(const std::string& name, unsigned int threads, WorkerPriority priority,
             std::size_t max_waiting);
  ~WorkerPool();

  /// False when the queue is full.
  bool try_submit(Job job) { return queue_.try_push(std::move(job)); }

 private:
  void run(const std::stop_token& stop, WorkerPriority priority);

  BoundedQueue<Job> queue_;
  std::vector<std::jthread> threads_;
};

}  // namespace assay::agent
