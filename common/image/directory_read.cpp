// SPDX-License-Identifier: Apache-2.0
#include "common/image/directory_read.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

// The kernel's struct linux_dirent64; libc shows it only through readdir's own buffer.
struct RawDirent {
  std::uint64_t inode;
  std::int64_t offset;
  std::uint16_t length;
  std::uint8_t type;
  char name[];
};

constexpr std::size_t kXattrBytes = 1U << 16;  // XATTR_SIZE_MAX and XATTR_LIST_MAX

// Symlinks and devices cannot be opened for reading, and there is no getxattrat before Linux 6.13.
std::string magic_path(int fd, const char* name) {
  return "/proc/self/fd/" + std::to_string(fd) + "/" + name;
}

}  // namespace

Result<std::vector<DirectoryName>> DirectoryReader::read(int fd, std::uint64_t max_names) {
  std::vector<DirectoryName> names;
  for (;;) {
    const long got = ::syscall(SYS_getdents64, fd, buffer_.data(), buffer_.size());
    if (got < 0) return system_error("read a directory");
    if (got == 0) return names;
    for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
      const char* const start = buffer_.data() + at;
      std::uint16_t length = 0;
      std::memcpy(&length, start + offsetof(RawDirent, length), sizeof(length));
      const auto type = static_cast<unsigned char>(start[offsetof(RawDirent, type)]);
      const std::string_view name(start + offsetof(RawDirent, name));
      at += length;
      if (name == "." || name == "..") continue;
      if (names.size() == max_names)
        return Error{ErrorCode::kLimitExceeded, "the layer has too many entries"};
      names.push_back({std::string(name), type == DT_DIR, type == DT_REG, type == DT_UNKNOWN});
    }
  }
}

Result<std::string> read_link(int dir_fd, const char* name) {
  std::array<char, PATH_MAX> target;
  const ssize_t got = ::readlinkat(dir_fd, name, target.data(), target.size());
  if (got < 0) return system_error("read the link \"" + escape_untrusted(name) + "\"");
  if (static_cast<std::size_t>(got) == target.size())
    return Error{ErrorCode::kCorrupt, "link target too long: \"" + escape_untrusted(name) + "\""};
  return std::string(target.data(), static_cast<std::size_t>(got));
}

Result<std::vector<std::string>> list_xattrs(int fd, const char* name) {
  static thread_local std::vector<char> buffer(kXattrBytes);
  const ssize_t got =
      name[0] == '\0' ? ::flistxattr(fd, buffer.data(), buffer.size())
                      : ::llistxattr(magic_path(fd, name).c_str(), buffer.data(), buffer.size());
  if (got < 0 && (errno == ENOTSUP || errno == ENODATA)) return std::vector<std::string>();
  if (got < 0)
    return system_error("list the extended attributes of \"" + escape_untrusted(name) + "\"");
  std::vector<std::string> names;
  std::string_view rest(buffer.data(), static_cast<std::size_t>(got));
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\0'), rest.size());
    names.emplace_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return names;
}

Result<std::string> get_xattr(int fd, const char* name, const std::string& xattr) {
  static thread_local std::vector<char> buffer(kXattrBytes);
  const ssize_t got = name[0] == '\0' ? ::fgetxattr(fd, xattr.c_str(), buffer.data(), buffer.size())
                                      : ::lgetxattr(magic_path(fd, name).c_str(), xattr.c_str(),
                                                    buffer.data(), buffer.size());
  if (got < 0) return system_error("read the extended attribute " + escape_untrusted(xattr));
  return std::string(buffer.data(), static_cast<std::size_t>(got));
}

Result<char> get_xattr_letter(int fd, const std::string& xattr) {
  std::array<char, 2> value = {};
  const ssize_t got = ::fgetxattr(fd, xattr.c_str(), value.data(), value.size());
  if (got < 0 && errno != ERANGE)
    return system_error("read the extended attribute " + escape_untrusted(xattr));
  return got == 1 ? value[0] : '\0';
}

}  // namespace assay::image
