// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT as something to wait for, instead of handlers.
#pragma once

#include <chrono>
#include <optional>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::service {

/// Create it in main before any thread: threads inherit the blocked signals. Also ignores SIGPIPE.
class StopSignals {
 public:
  static Result<StopSignals> create();

  /// The signal's number; nothing when `timeout` passed first (negative: waits for ever).
  std::optional<int> wait(std::chrono::milliseconds timeout) const;
  /// Readable (poll) when a signal is there.
  int fd() const { return fd_.get(); }

 private:
  explicit StopSignals(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace assay::service
