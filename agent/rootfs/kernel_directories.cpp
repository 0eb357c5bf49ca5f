// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/kernel_directories.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <optional>

#include "agent/rootfs/file_system.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

struct Directory {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
};

std::optional<Directory> directory_of(int fd) {
  struct statx status {};
  // Cached attributes will do, and a daemon that does not answer would hold us up.
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &status) != 0)
    return std::nullopt;
  if (!S_ISDIR(status.stx_mode)) return std::nullopt;
  return Directory{makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino};
}

/// Only of a directory whose file system is known to be a local one.
bool has_generation(int fd, std::uint32_t generation) {
  const auto magic = magic_of(fd);
  if (!magic || !is_readable_file_system(*magic)) return false;
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  const UniqueFd readable(::open(self.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  return readable && generation_of(readable.get(), *magic) == generation;
}

}  // namespace

bool KernelDirectories::is_layer(int fd, const LowerLayer& layer) {
  const auto found = directory_of(fd);
  if (!found || found->inode != layer.inode) return false;
  if (found->device != layer.device) {
    if (!has_anonymous_devices(layer.magic)) return false;
    const auto device = superblock_device_of(fd, "/proc/self");
    if (!device || *device != layer.device) return false;
  }
  return layer.generation == 0 || has_generation(fd, layer.generation);
}

bool KernelDirectories::is_upper(int fd, const RootIdentity& root) {
  const auto found = directory_of(fd);
  if (!found || found->inode != root.inode) return false;
  // A device without a disk may be anything, also a file system in user space: not asked further.
  const bool has_disk = major(found->device) != 0;
  return root.generation == 0 || !has_disk || has_generation(fd, root.generation);
}

}  // namespace assay::agent
