// SPDX-License-Identifier: Apache-2.0
// Which process, and on which root: by its folder in /proc, so that no later process of the same
// number is taken for it. Private to agent/rootfs.
#pragma once

#include <cstdint>
#include <string>

#include "agent/core/events.h"
#include "common/base/process_stat.h"
#include "common/base/result.h"

namespace assay::agent {

Error gone(const std::string& what);
/// The error of a look-up in /proc/PID that errno tells: a process that is gone answers so.
Error process_error(const std::string& what);

/// What a root directory is, without asking whoever serves its file system.
struct RootState {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool is_mount = false;
  bool operator==(const RootState&) const = default;
};
/// `name` "": of `folder` itself. Errors: kNotFound (the process is gone), kPermissionDenied,
/// kUnavailable.
Result<RootState> state_of(int folder, const char* name);
/// Whether the root that `fd` has open is the one that the kernel told of; `folder`: of its
/// process. Errors: kNotFound (another one), kUnavailable.
Result<void> check_root(const RootState& state, int fd, int folder, const RootIdentity& root);

/// Of the process of an open /proc folder. Errors: kNotFound (it is gone), kCorrupt, kUnavailable.
Result<ProcessStat> stat_of(int folder);

}  // namespace assay::agent
