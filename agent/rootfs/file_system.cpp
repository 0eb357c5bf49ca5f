// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/file_system.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace assay::agent {
namespace {

constexpr std::uint32_t kMagicBcachefs = 0xCA451A4E;

// Local file systems whose answers come from the kernel and its disks alone: no server, no FUSE
// daemon, no stacked file system whose branches could be such.
constexpr std::array<std::uint32_t, 11> kReadable = {kMagicExt,
                                                     kMagicXfs,
                                                     kMagicBtrfs,
                                                     kMagicTmpfs,
                                                     kMagicOverlay,
                                                     0x858458F6 /* ramfs */,
                                                     0xF2F52010 /* f2fs */,
                                                     0x2FC12FC1 /* zfs */,
                                                     kMagicBcachefs,
                                                     0xE0F5E1E2 /* erofs */,
                                                     0x73717368 /* squashfs */};

// Linux 6.9, include/uapi/linux/fs.h; Debian 12's headers do not have it yet.
struct FsUuid2 {
  std::uint8_t length;
  std::uint8_t uuid[16];
};
constexpr unsigned long kGetFsUuid = _IOR(0x15, 0, FsUuid2);

std::string uuid_text(const FsUuid2& uuid) {
  std::string text;
  for (std::size_t i = 0; i < uuid.length; ++i) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", uuid.uuid[i]);
    text += digits;
    if (uuid.length == 16 && (i == 3 || i == 5 || i == 7 || i == 9)) text += '-';
  }
  return text;
}

std::optional<std::string> uuid_by_call(int fd) {
  FsUuid2 uuid{};
  if (::ioctl(fd, kGetFsUuid, &uuid) != 0) return std::nullopt;
  if (uuid.length == 0 || uuid.length > sizeof(uuid.uuid)) return std::nullopt;
  const bool is_nil = std::all_of(std::begin(uuid.uuid), std::end(uuid.uuid),
                                  [](std::uint8_t byte) { return byte == 0; });
  if (is_nil) return std::nullopt;  // made without one: many file systems share this "UUID"
  return uuid_text(uuid);
}

std::optional<std::string> uuid_by_device(std::uint64_t device) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/dev/disk/by-uuid", error)) {
    struct stat status {};
    if (::stat(entry.path().c_str(), &status) != 0 || !S_ISBLK(status.st_mode)) continue;
    if (status.st_rdev == device) return entry.path().filename().string();
  }
  return std::nullopt;
}

constexpr std::size_t kMaxHandleBytes = 128;  // MAX_HANDLE_SZ

std::optional<std::uint32_t> generation_from_handle(int fd, std::uint32_t magic) {
  alignas(struct file_handle) char buffer[sizeof(struct file_handle) + kMaxHandleBytes];
  auto* handle = reinterpret_cast<struct file_handle*>(buffer);
  handle->handle_bytes = kMaxHandleBytes;
  int mount_id = 0;
  if (::name_to_handle_at(fd, "", handle, &mount_id, AT_EMPTY_PATH) != 0) return std::nullopt;
  std::size_t offset = 0;
  std::size_t length = 0;
  if (magic == kMagicTmpfs) {  // mm/shmem.c shmem_encode_fh: generation, then the inode
    length = 12;
  } else if (magic == kMagicBtrfs) {  // fs/btrfs/export.h: objectid, root objectid, generation
    offset = 16;
    length = 20;
  } else {
    return std::nullopt;
  }
  if (handle->handle_bytes < length) return std::nullopt;
  std::uint32_t generation = 0;
  std::memcpy(&generation, handle->f_handle + offset, sizeof(generation));
  return generation;
}

}  // namespace

bool is_readable_file_system(std::uint32_t magic) {
  return std::find(kReadable.begin(), kReadable.end(), magic) != kReadable.end();
}

bool has_anonymous_devices(std::uint32_t magic) {
  return magic == kMagicBtrfs || magic == kMagicBcachefs;
}

Result<std::uint32_t> magic_of(int fd) {
  struct statfs status {};
  if (::fstatfs(fd, &status) != 0) return system_error("fstatfs");
  return static_cast<std::uint32_t>(status.f_type);
}

std::string file_system_identity(int fd, std::uint64_t device, const std::string& boot_id) {
  if (auto uuid = uuid_by_call(fd)) return "uuid:" + *uuid;
  if (auto uuid = uuid_by_device(device)) return "uuid:" + *uuid;
  return "dev:" + std::to_string(major(device)) + ":" + std::to_string(minor(device)) + "@" +
         boot_id;
}

std::optional<std::uint32_t> generation_of(int fd, std::uint32_t magic) {
  // The kernel writes an int although the number is declared with a long (FS_IOC_GETVERSION).
  long generation = 0;
  if (magic != kMagicBtrfs && ::ioctl(fd, FS_IOC_GETVERSION, &generation) == 0)
    return static_cast<std::uint32_t>(generation);
  return generation_from_handle(fd, magic);
}

std::int64_t birth_of(int fd) {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &status) != 0) return 0;
  if ((status.stx_mask & STATX_BTIME) == 0) return 0;
  return status.stx_btime.tv_sec * 1'000'000'000 + status.stx_btime.tv_nsec;
}

}  // namespace assay::agent
