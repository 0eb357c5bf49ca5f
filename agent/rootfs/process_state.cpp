// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/process_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "agent/rootfs/file_system.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxStatBytes = 4096;

}  // namespace

Error gone(const std::string& what) {
  return {ErrorCode::kNotFound, what};
}

Error process_error(const std::string& what) {
  const int code = errno;
  if (code == ESRCH || code == ENOENT) return gone("the process is gone");
  return system_error(what, code);
}

Result<RootState> state_of(int folder, const char* name) {
  struct statx status {};
  const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(folder, name, flags, STATX_TYPE | STATX_INO, &status) != 0)
    return process_error("stat the root of a process");
  const bool is_mount = (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return RootState{makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino, is_mount};
}

Result<ProcessStat> stat_of(int folder) {
  auto text = read_file_at(folder, "stat", kMaxStatBytes);
  if (!text) return text.error().sys_errno == ESRCH ? gone("the process is gone") : text.error();
  const auto stat = parse_process_stat(*text);
  if (!stat) return Error{ErrorCode::kCorrupt, "/proc/PID/stat cannot be read"};
  return *stat;
}

Result<void> check_root(const RootState& state, int fd, int folder, const RootIdentity& root) {
  std::uint64_t device = state.device;
  if (device != root.device && has_anonymous_devices(root.magic)) {
    ASSAY_ASSIGN(device, superblock_device_of(fd, "/proc/self/fd/" + std::to_string(folder)));
  }
  // Of an overlay the kernel names the upper directory; a process may sit in a folder of the root.
  const bool is_same = root.magic == kMagicOverlay ? state.is_mount : state.inode == root.inode;
  if (device != root.device || !is_same) return gone("its process stands in another root by now");
  return ok();
}

}  // namespace assay::agent
