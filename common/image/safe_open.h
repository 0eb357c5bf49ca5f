// SPDX-License-Identifier: Apache-2.0
// Opening what foreign trees hold: no symlinks, no mounts, no magic links, never a device. For
// common/image and agent/identify.
#pragma once

#include <sys/stat.h>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::image {

/// openat2(2) with RESOLVE_BENEATH|NO_SYMLINKS|NO_XDEV|NO_MAGICLINKS and O_CLOEXEC.
/// Errors: kNotFound, kPermissionDenied, kUnsupported (a mount below), kCorrupt (a symlink where
/// there was none), kUnavailable.
Result<UniqueFd> open_beneath(int dir_fd, const char* path, int flags);

/// Opens for reading what O_PATH descriptors hold. Thread-safe.
class FileOpener {
 public:
  /// Errors: kUnavailable (no /proc).
  static Result<FileOpener> create();
  /// The regular file that `path_fd` holds, its access time untouched where that is allowed.
  Result<UniqueFd> reopen(int path_fd) const;

 private:
  explicit FileOpener(UniqueFd descriptors) : descriptors_(std::move(descriptors)) {}
  UniqueFd descriptors_;  // /proc/self/fd: looking "/proc/self/fd" up each time costs 1 us a file
};

/// statx of `name` below `dir_fd`, not followed; "" is `dir_fd` itself.
Result<void> stat_at(int dir_fd, const char* name, struct statx& out);

/// Whether this process sees trusted.* attributes: CAP_SYS_ADMIN in the first user namespace.
bool can_see_trusted_xattrs();

}  // namespace assay::image
