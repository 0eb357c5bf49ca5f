// SPDX-License-Identifier: Apache-2.0
// When the agent of this node was last well, for the agent after it: what lies between is a gap.
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// One line in the state folder, overwritten in place about once a second and never flushed: after
/// power loss it may be some seconds old, which makes a gap longer, never shorter. Thread-safe.
class AliveFile {
 public:
  /// The time in this boot's clock (before this boot: negative); nothing: no agent was here before,
  /// or the line cannot be read. `clock` for a time of another boot.
  static std::optional<BootTime> read(const std::string& state_dir, const std::string& boot_id,
                                      const Clock& clock);
  /// Opens it for writing. `clock` outlives the file. Errors: kPermissionDenied, kUnavailable.
  static Result<std::unique_ptr<AliveFile>> open(const std::string& state_dir, std::string boot_id,
                                                 const Clock& clock);

  /// All that happened up to `time` is stored.
  void write(BootTime time);

 private:
  AliveFile(UniqueFd fd, std::string boot_id, const Clock& clock)
      : fd_(std::move(fd)), boot_id_(std::move(boot_id)), clock_(clock) {}

  const UniqueFd fd_;
  const std::string boot_id_;
  const Clock& clock_;
  Mutex mutex_;
  BootTime written_ ASSAY_GUARDED_BY(mutex_) = BootTime::min();
};

}  // namespace assay::agent
