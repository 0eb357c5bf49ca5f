// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/file_handle.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <limits>

#include "agent/core/run_identity.h"
#include "agent/rootfs/file_system.h"

namespace assay::agent {
namespace {

constexpr int kIno32Generation = 1;        // FILEID_INO32_GEN
constexpr int kXfsIno64Generation = 0x81;  // XFS_FILEID_INO64_GEN
constexpr unsigned int kMaxBytes = 12;

struct Handle {
  alignas(struct file_handle) char bytes[sizeof(struct file_handle) + kMaxBytes] = {};

  struct file_handle* get() {
    return reinterpret_cast<struct file_handle*>(bytes);
  }
};

Handle ino32_handle(std::uint32_t inode, std::uint32_t generation) {
  Handle handle;
  handle.get()->handle_type = kIno32Generation;
  handle.get()->handle_bytes = 8;
  std::memcpy(handle.get()->f_handle, &inode, sizeof(inode));
  std::memcpy(handle.get()->f_handle + 4, &generation, sizeof(generation));
  return handle;
}

Handle xfs_handle(std::uint64_t inode, std::uint32_t generation) {
  Handle handle;
  handle.get()->handle_type = kXfsIno64Generation;
  handle.get()->handle_bytes = 12;
  std::memcpy(handle.get()->f_handle, &inode, sizeof(inode));
  std::memcpy(handle.get()->f_handle + 8, &generation, sizeof(generation));
  return handle;
}

Result<UniqueFd> open_handle(int mount_fd, Handle handle) {
  UniqueFd fd(::open_by_handle_at(mount_fd, handle.get(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (fd) return fd;
  Error error = system_error("open_by_handle_at");
  if (error.sys_errno == ESTALE) error.code = ErrorCode::kNotFound;
  if (error.sys_errno == EPERM) {
    error.code = ErrorCode::kPermissionDenied;
    error.message += " (needs CAP_DAC_READ_SEARCH)";
  }
  if (error.sys_errno == EOPNOTSUPP) error.code = ErrorCode::kUnsupported;
  return error;
}

}  // namespace

Result<UniqueFd> open_directory_by_handle(int mount_fd, std::uint32_t magic, std::uint64_t inode,
                                          std::uint32_t generation) {
  const bool is_small = inode <= std::numeric_limits<std::uint32_t>::max();
  const auto small = static_cast<std::uint32_t>(inode);
  if (magic == kMagicExt && is_small) return open_handle(mount_fd, ino32_handle(small, generation));
  if (magic == kMagicXfs) {
    auto opened = open_handle(mount_fd, xfs_handle(inode, generation));
    if (opened || !is_small || opened.error().code != ErrorCode::kNotFound) return opened;
    return open_handle(mount_fd, ino32_handle(small, generation));  // mounted with small inodes
  }
  return Error{ErrorCode::kUnsupported,
               "handles of " + file_system_name(magic) + " hold more than inode and generation"};
}

}  // namespace assay::agent
