// SPDX-License-Identifier: Apache-2.0
// The digest that the kernel enforces on a file with fs-verity. Private to common/image.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>

#include "common/base/digest.h"

namespace assay::image {

/// Whether the file system of an open directory is one in whose kernel code fs-verity lies (ext4,
/// btrfs, f2fs). FUSE hands the same calls to a program, which may answer what it likes.
bool has_kernel_verity(int fd);

/// The digest of the file of `size` bytes that is open for reading, when fs-verity is on and its
/// digest is of our kind: SHA-256, 4 KiB blocks, no salt. Reads no data. Nothing otherwise, and on
/// kernels that do not tell the parameters (FS_IOC_READ_VERITY_METADATA: Linux 5.12).
/// Source: Linux Documentation/filesystems/fsverity.rst, "FS_IOC_MEASURE_VERITY" and
/// "fs-verity descriptor".
std::optional<FileDigest> kernel_verity_digest(int fd, const struct statx& status);

}  // namespace assay::image
