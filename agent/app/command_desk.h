// SPDX-License-Identifier: Apache-2.0
// The collector's commands: given to those who do them, and their answers kept until they are sent.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>

#include "agent/core/verify_orders.h"
#include "agent/uplink/uplink.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Between the uplink's threads and the verify desk's. When answers are not taken the work waits.
/// Thread-safe. Outlives the orders' worker.
class CommandDesk {
 public:
  /// `on_ready`: take() has something; any thread.
  CommandDesk(VerifyOrders& orders, std::function<void()> on_ready)
      : orders_(orders), on_ready_(std::move(on_ready)) {}

  /// Never blocks. A command that cannot be taken is answered with its error.
  void verify(const VerifyCommand& command);
  void cancel(std::uint64_t command);
  /// The next answer, once.
  std::optional<CommandAnswer> take();
  /// The stream is over: its commands are cancelled, their answers dropped.
  void end_stream();

 private:
  struct Open {
    std::uint64_t order = 0;  ///< 0: not known yet
    bool is_cancelled = false;
  };
  /// From the orders' worker. False: nobody waits for it.
  bool put(std::uint64_t stream, std::uint64_t command, const catalog::VerifyEvent& event);
  void set_order(std::uint64_t stream, std::uint64_t command, std::uint64_t order);

  VerifyOrders& orders_;
  const std::function<void()> on_ready_;
  Mutex mutex_;
  std::condition_variable_any room_;
  std::uint64_t stream_ ASSAY_GUARDED_BY(mutex_) = 0;  // which one, in turn
  std::map<std::uint64_t, Open> open_ ASSAY_GUARDED_BY(mutex_);
  std::deque<CommandAnswer> answers_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::agent
