// SPDX-License-Identifier: Apache-2.0
#include "common/image/hash_aside.h"

#include <pthread.h>

#include <ctime>
#include <system_error>
#include <utility>

#include "common/base/result.h"

namespace assay::image {
namespace {

constexpr std::chrono::hours kLongWait{1};

}  // namespace

void HashAside::take(std::unique_ptr<BlockBatch>& batch) {
  if (!start()) return forest_.take(*batch);
  wait();
  std::unique_ptr<BlockBatch> empty = std::move(spare_);
  if (!empty) empty = std::make_unique<BlockBatch>(batch->buffer.size() / kVerityBlockBytes);
  const bool is_pushed = given_.try_push(std::exchange(batch, std::move(empty)));
  ASSAY_ASSERT(is_pushed);
  is_given_ = true;
}

void HashAside::wait() {
  while (is_given_) {
    auto done = done_.pop(std::stop_token(), kLongWait);
    if (!done) continue;
    spare_ = std::move(*done);
    is_given_ = false;
  }
}

std::chrono::nanoseconds HashAside::thread_time() {
  clockid_t clock = 0;
  timespec time = {};
  if (!thread_.joinable() || ::pthread_getcpuclockid(thread_.native_handle(), &clock) != 0 ||
      ::clock_gettime(clock, &time) != 0)
    return std::chrono::nanoseconds(0);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

bool HashAside::start() {
  if (thread_.joinable() || has_failed_) return !has_failed_;
  try {
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    ::pthread_setname_np(thread_.native_handle(), "assay-hash");
  } catch (const std::system_error&) {  // no more threads: EAGAIN
    has_failed_ = true;
  }
  return !has_failed_;
}

void HashAside::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    auto batch = given_.pop(stop, kLongWait);
    if (!batch) continue;
    forest_.take(**batch);
    (void)done_.try_push(std::move(*batch));  // there is one batch at most
  }
}

}  // namespace assay::image
