// SPDX-License-Identifier: Apache-2.0
// SIGTERM, SIGINT and SIGHUP as something to wait for, instead of handlers.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::service {

/// Create it in main before any thread: threads inherit the blocked signals. Also ignores SIGPIPE.
class Signals {
 public:
  static Result<Signals> create();

  /// Waits until SIGTERM or SIGINT and gives its number. Calls `on_hangup` for each SIGHUP.
  int wait_for_stop(const std::function<void()>& on_hangup) const;
  /// The signal's number; nothing when `timeout` passed first (negative: waits for ever).
  std::optional<int> wait(std::chrono::milliseconds timeout) const;
  /// Readable (poll) when a signal is there.
  int fd() const { return fd_.get(); }

 private:
  explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace assay::service
