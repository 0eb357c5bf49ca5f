// SPDX-License-Identifier: Apache-2.0
// Opening a directory by inode and generation, without any name.
#pragma once

#include <cstdint>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// O_PATH|O_DIRECTORY|O_CLOEXEC. `mount_fd`: any directory of the superblock, not O_PATH.
/// Needs CAP_DAC_READ_SEARCH in the first user namespace. Thread-safe.
/// Errors: kNotFound (ESTALE: gone, or another generation), kPermissionDenied,
/// kUnsupported (a file system whose handles cannot be made from inode and generation).
/// Source: open_by_handle_at(2); fs/libfs.c generic_encode_ino32_fh, fs/xfs/xfs_export.c.
Result<UniqueFd> open_directory_by_handle(int mount_fd, std::uint32_t magic, std::uint64_t inode,
                                          std::uint32_t generation);

}  // namespace assay::agent
