// SPDX-License-Identifier: Apache-2.0
// Writes now and then when tokens were used.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "collector/core/ports.h"
#include "collector/core/token_book.h"

namespace assay::collector {

/// A thread of its own until it is destroyed; then it writes a last time.
class AccessTimer {
 public:
  /// All must outlive it.
  AccessTimer(TokenBook& tokens, Ledger& ledger, std::chrono::milliseconds interval);
  ~AccessTimer();
  AccessTimer(const AccessTimer&) = delete;
  AccessTimer& operator=(const AccessTimer&) = delete;

 private:
  void write();

  TokenBook& tokens_;
  Ledger& ledger_;
  std::mutex mutex_;  // not Mutex: waited on with a stop token
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

}  // namespace assay::collector
