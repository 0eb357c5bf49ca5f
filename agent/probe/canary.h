// SPDX-License-Identifier: Apache-2.0
// An exec that this process makes so that the probe can show that it sees execs.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/probe/event_decoder.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::agent {

/// One try. Ends and reaps its process when it goes. Not thread-safe.
class Canary {
 public:
  Canary() = default;
  ~Canary() { reap(); }
  Canary(const Canary&) = delete;
  Canary& operator=(const Canary&) = delete;

  /// Executes `command` with a fresh token as its last argument, stdin and output on /dev/null.
  /// Errors: kNotFound, kPermissionDenied, kUnavailable (cannot be executed).
  Result<void> launch(const std::vector<std::string>& command, BootTime deadline);
  bool is_waiting() const { return !token_.empty(); }
  BootTime deadline() const { return deadline_; }
  /// Whether `seen` is this canary; then it waits no more.
  bool recognise(const CanarySeen& seen);
  /// Stops waiting: kills the process if it still runs, and reaps it.
  void reap();

 private:
  std::string token_;
  pid_t pid_ = -1;
  BootTime deadline_{};
};

}  // namespace assay::agent
