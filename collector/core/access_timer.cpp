// SPDX-License-Identifier: Apache-2.0
#include "collector/core/access_timer.h"

#include <pthread.h>

namespace assay::collector {

AccessTimer::AccessTimer(TokenBook& tokens, Ledger& ledger, std::chrono::milliseconds interval)
    : tokens_(tokens), ledger_(ledger) {
  thread_ = std::jthread([this, interval](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "access");
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      stopped_.wait_for(lock, stop, interval, [] { return false; });
      write();
    }
  });
}

AccessTimer::~AccessTimer() {
  thread_.request_stop();
  thread_.join();
}

void AccessTimer::write() {
  const auto used = tokens_.take_used();
  if (used.empty()) return;
  // What is lost with a full disk is only when a token was used.
  (void)ledger_.change(used.size() * 64, [used](StoreWriter& store) -> Result<void> {
    for (const auto& [id, used_ns] : used)
      ASSAY_TRY(store.set_token_used(id, used_ns));
    return ok();
  });
}

}  // namespace assay::collector
