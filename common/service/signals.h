// SPDX-License-Identifier: Apache-2.0
// SIGTERM, SIGINT, SIGHUP and, where it is asked for, SIGUSR1 as something to wait for, instead of
// handlers.
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
  enum class User { kNotTaken, kTaken };
  /// `user`: whether SIGUSR1 is taken; else it ends the program, as it does by default.
  static Result<Signals> create(User user = User::kNotTaken);

  /// Waits until SIGTERM or SIGINT and gives its number. Calls `on_hangup` for each SIGHUP and
  /// `on_user` for each SIGUSR1.
  int wait_for_stop(const std::function<void()>& on_hangup,
                    const std::function<void()>& on_user = {}) const;
  /// The signal's number; nothing when `timeout` passed first (negative: waits for ever).
  std::optional<int> wait(std::chrono::milliseconds timeout) const;
  /// Readable (poll) when a signal is there.
  int fd() const { return fd_.get(); }

 private:
  explicit Signals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace assay::service
