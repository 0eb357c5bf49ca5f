// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/worker_pool.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace assay::agent {
namespace {

constexpr std::chrono::seconds kIdleWait{60};

// linux/ioprio.h is not among Debian 12's user-space headers' stable parts: IOPRIO_WHO_PROCESS,
// IOPRIO_CLASS_IDLE << IOPRIO_CLASS_SHIFT.
constexpr int kIoPrioWhoProcess = 1;
constexpr int kIoPrioIdle = 3 << 13;

// Of the calling thread. Lowering needs no privilege; a kernel that refuses leaves it as it was.
void become_idle() {
  sched_param parameters{};
  (void)::sched_setscheduler(0, SCHED_IDLE, &parameters);
  (void)::syscall(SYS_ioprio_set, kIoPrioWhoProcess, 0, kIoPrioIdle);
}

}  // namespace

WorkerPool::WorkerPool(const std::string& name, unsigned int threads, WorkerPriority priority,
                       std::size_t max_waiting)
    : queue_(max_waiting) {
  for (unsigned int i = 0; i < threads; ++i) {
    threads_.emplace_back([this, priority](const std::stop_token& stop) { run(stop, priority); });
    ::pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
}

WorkerPool::~WorkerPool() {
  for (std::jthread& thread : threads_)
    thread.request_stop();
}

void WorkerPool::run(const std::stop_token& stop, WorkerPriority priority) {
  if (priority == WorkerPriority::kIdle) become_idle();
  while (!stop.stop_requested()) {
    const auto job = queue_.pop(stop, kIdleWait);
    if (job && !stop.stop_requested()) (*job)(stop);
  }
}

}  // namespace assay::agent
