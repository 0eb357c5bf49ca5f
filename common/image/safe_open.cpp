// SPDX-License-Identifier: Apache-2.0
#include "common/image/safe_open.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <string>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

// PROC_USER_INIT_INO in the kernel's include/linux/proc_ns.h.
constexpr ino_t kFirstUserNamespace = 0xEFFFFFFD;

Error open_error(const char* path) {
  const int code = errno;
  const std::string what = "open \"" + escape_untrusted(path) + "\"";
  if (code == EXDEV)
    return {ErrorCode::kUnsupported, what + ": a mount lies inside the layer", code};
  if (code == ELOOP || code == ENOTDIR)
    return {ErrorCode::kCorrupt, what + ": replaced while it was read", code};
  return system_error(what, code);
}

}  // namespace

Result<UniqueFd> open_beneath(int dir_fd, const char* path, int flags) {
  struct open_how how = {};
  how.flags = static_cast<std::uint64_t>(flags) | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0; attempt < 16; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;  // EAGAIN: a rename raced with the look-up
  }
  return open_error(path);
}

Result<FileOpener> FileOpener::create() {
  UniqueFd descriptors(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!descriptors) return Error{ErrorCode::kUnavailable, "open /proc/self/fd", errno};
  return FileOpener(std::move(descriptors));
}

Result<UniqueFd> FileOpener::reopen(int path_fd) const {
  std::array<char, 16> name = {};
  std::to_chars(name.data(), name.data() + name.size() - 1, path_fd);
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = ::openat(descriptors_.get(), name.data(), kFlags | O_NOATIME);
  if (fd < 0 && errno == EPERM) fd = ::openat(descriptors_.get(), name.data(), kFlags);
  if (fd < 0) return system_error("reopen a file");
  return UniqueFd(fd);
}

Result<void> stat_at(int dir_fd, const char* name, struct statx& out) {
  constexpr unsigned kMask = STATX_BASIC_STATS;
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_SYNC_AS_STAT |
                    (name[0] == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(dir_fd, name, flags, kMask, &out) != 0)
    return system_error("stat \"" + escape_untrusted(name) + "\"");
  return ok();
}

bool can_see_trusted_xattrs() {
  struct stat user_namespace = {};
  if (::stat("/proc/self/ns/user", &user_namespace) != 0) return false;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data = {};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  return user_namespace.st_ino == kFirstUserNamespace &&
         (data[0].effective & (1U << CAP_SYS_ADMIN)) != 0;
}

}  // namespace assay::image
