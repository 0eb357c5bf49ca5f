// SPDX-License-Identifier: Apache-2.0
// Which file system a directory lies on: whether Assay reads it, and what it is called for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/result.h"

namespace assay::agent {

/// What super_block.s_magic says. Values: linux/magic.h and the file systems' own sources.
inline constexpr std::uint32_t kMagicExt = 0xEF53;
inline constexpr std::uint32_t kMagicXfs = 0x58465342;
inline constexpr std::uint32_t kMagicBtrfs = 0x9123683E;
inline constexpr std::uint32_t kMagicTmpfs = 0x01021994;
inline constexpr std::uint32_t kMagicOverlay = 0x794c7630;

/// Whether a walk of it stays on this machine and cannot be answered by a container's own process.
bool is_readable_file_system(std::uint32_t magic);

/// Whether stat() there names a subvolume instead of the superblock's device.
bool has_anonymous_devices(std::uint32_t magic);

/// f_type of an open directory (O_PATH is enough). Errors: kUnavailable.
Result<std::uint32_t> magic_of(int fd);

/// "uuid:…" by FS_IOC_GETFSUUID (Linux 6.9) or /dev/disk/by-uuid, else
/// "dev:MAJOR:MINOR@BOOT-ID". `fd` must not be O_PATH. `device`: dev_t of the superblock.
std::string file_system_identity(int fd, std::uint64_t device, const std::string& boot_id);

/// The inode's generation: by FS_IOC_GETVERSION, or out of the file handle where the file system
/// has no such call (tmpfs). Nothing when it has neither. `fd` must not be O_PATH.
std::optional<std::uint32_t> generation_of(int fd, std::uint32_t magic);

/// Birth time in Unix nanoseconds, 0 when the file system does not keep one.
std::int64_t birth_of(int fd);

}  // namespace assay::agent
