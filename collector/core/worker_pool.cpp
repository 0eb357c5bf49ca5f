// SPDX-License-Identifier: Apache-2.0
#include "collector/core/worker_pool.h"

#include <pthread.h>

namespace assay::collector {

WorkerPool::WorkerPool(int threads, std::size_t max_waiting) : queue_(max_waiting) {
  for (int i = 0; i < threads; ++i)
    threads_.emplace_back([this](const std::stop_token& stop) {
      pthread_setname_np(pthread_self(), "query");
      for (;;) {
        auto work = queue_.pop(stop, std::chrono::hours(1));
        if (work)
          (*work)();
        else if (stop.stop_requested())
          return;
      }
    });
}

WorkerPool::~WorkerPool() {
  for (auto& thread : threads_)
    thread.request_stop();
}

}  // namespace assay::collector
