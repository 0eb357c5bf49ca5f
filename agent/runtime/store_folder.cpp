// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/store_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <memory>

namespace assay::agent {
namespace {

UniqueFd open_how(int folder, const std::string& path, std::uint64_t flags, std::uint64_t resolve) {
  struct open_how how {};
  how.flags = flags | O_CLOEXEC;
  how.resolve = resolve | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(
      static_cast<int>(::syscall(SYS_openat2, folder, path.c_str(), &how, sizeof(how))));
}

std::int64_t to_ns(const timespec& time) {
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

bool is_roots(const struct stat& status) {
  if (status.st_uid != 0) return false;
  if (S_ISLNK(status.st_mode)) return true;  // its mode means nothing
  const bool is_shared = (status.st_mode & (S_IWGRP | S_IWOTH)) != 0;
  return !is_shared || (S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0);
}

/// The path without links, as the kernel has it.
std::string true_path(int fd) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  char path[PATH_MAX];
  const ssize_t size = ::readlink(link.c_str(), path, sizeof(path));
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

/// Calls `visit` with each prefix of `path` that ends before a "/", then with all of it.
template <typename Visit>
bool all_prefixes(const std::string& path, Visit visit) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1))
    if (!visit(path.substr(0, end))) return false;
  return visit(path);
}

}  // namespace

std::optional<FileStamp> stamp_of(int fd) {
  struct stat status {};
  if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return FileStamp{status.st_dev, status.st_ino, to_ns(status.st_mtim), to_ns(status.st_ctim),
                   static_cast<std::uint64_t>(status.st_size)};
}

bool is_safe_name(std::string_view name) {
  return !name.empty() && name.size() <= NAME_MAX && name != "." && name != ".." &&
         name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos;
}

bool is_only_roots_to_write(const std::string& path) {
  if (path.empty() || path.front() != '/') return false;
  const auto is_safe = [](const std::string& prefix) {
    struct stat status {};
    return ::lstat(prefix.c_str(), &status) == 0 && is_roots(status);
  };
  return is_safe("/") && all_prefixes(path, is_safe);
}

std::optional<StoreFolder> StoreFolder::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return std::nullopt;
  return StoreFolder(path, std::move(fd));
}

std::optional<StoreFolder> StoreFolder::open_users(const std::string& base, const std::string& path,
                                                   std::uint32_t uid) {
  constexpr std::uint64_t kDirectory = O_PATH | O_DIRECTORY;
  const UniqueFd start = open_how(AT_FDCWD, base, kDirectory, RESOLVE_NO_SYMLINKS);
  if (!start) return std::nullopt;
  UniqueFd fd = open_how(start.get(), path, kDirectory,
                         RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV);
  struct stat status {};
  // In /tmp anybody may make a folder that goes by another user's number.
  if (!fd || ::fstat(fd.get(), &status) != 0 || status.st_uid != uid) return std::nullopt;
  return StoreFolder(base + "/" + path, std::move(fd), RESOLVE_NO_XDEV, true);
}

std::optional<StoreFolder> StoreFolder::open_folder(const std::string& path) const {
  UniqueFd fd = open_beneath(path, O_PATH | O_DIRECTORY);
  if (!fd) return std::nullopt;
  std::string whole = path_ + "/" + path;
  const bool is_others =
      is_others_ || !is_only_roots_to_write(whole) || !is_only_roots_to_write(true_path(fd.get()));
  return StoreFolder(std::move(whole), std::move(fd), resolve_, is_others);
}

StoreFolder::StoreFolder(std::string path, UniqueFd fd)
    : path_(std::move(path)),
      fd_(std::move(fd)),
      // Who may write where a link leads decides as much as who may write the link.
      is_others_(!is_only_roots_to_write(path_) || !is_only_roots_to_write(true_path(fd_.get()))) {}

StoreFolder::StoreFolder(std::string path, UniqueFd fd, std::uint64_t resolve, bool is_others)
    : path_(std::move(path)), fd_(std::move(fd)), resolve_(resolve), is_others_(is_others) {}

UniqueFd StoreFolder::open_beneath(const std::string& path, std::uint64_t flags) const {
  return open_how(fd_.get(), path, flags, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | resolve_);
}

void StoreFolder::look_at(const std::string& path) {
  if (is_others_) return;  // nothing more to learn, and a user's paths may change under the look
  const std::size_t start = std::min(path.find_first_not_of('/'), path.size());
  all_prefixes(path.substr(start), [this](const std::string& prefix) {
    const auto [known, is_new] = looked_at_.try_emplace(prefix, true);
    if (is_new) {
      struct stat status {};
      known->second = ::fstatat(fd_.get(), prefix.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                      is_roots(status);
    }
    is_others_ |= !known->second;
    return true;
  });
}

UniqueFd StoreFolder::open_file(const std::string& path) {
  // Looked at before it is opened for reading: opening a device or a FIFO does something.
  const UniqueFd found = open_beneath(path, O_PATH);
  if (!found || !stamp_of(found.get())) return {};
  const std::string self = "/proc/self/fd/" + std::to_string(found.get());
  UniqueFd fd(::open(self.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd) look_at(path);
  return fd;
}

std::optional<std::string> StoreFolder::read(const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd = open_file(path);
  if (!fd) return std::nullopt;
  return read_open(fd.get(), max_bytes);
}

std::optional<std::string> StoreFolder::read_open(int fd, std::size_t max_bytes) {
  const auto stamp = stamp_of(fd);
  if (!stamp || stamp->bytes > max_bytes) return std::nullopt;
  std::string bytes(stamp->bytes + 1, '\0');  // one more: it must not have grown
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = TEMP_FAILURE_RETRY(::read(fd, bytes.data() + size, bytes.size() - size));
    if (count < 0) return std::nullopt;
    if (count == 0) break;
    size += static_cast<std::size_t>(count);
  }
  if (size > stamp->bytes) return std::nullopt;
  bytes.resize(size);
  return bytes;
}

UniqueFd StoreFolder::open_directory(const std::string& path) {
  UniqueFd fd = open_beneath(path, O_PATH | O_DIRECTORY);
  if (fd) look_at(path);
  return fd;
}

Result<UniqueFd> StoreFolder::open_at_hand(const std::string& path) {
  // A rename or a mount anywhere on the machine makes such a look-up give up once.
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    UniqueFd fd = open_how(fd_.get(), path, O_PATH | O_DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_CACHED);
    if (fd) return fd;
    if (errno != EAGAIN) break;
  }
  Error error = system_error("open a directory");
  error.code = error.sys_errno == EAGAIN ? ErrorCode::kUnavailable : ErrorCode::kNotFound;
  return error;
}

std::vector<std::string> StoreFolder::folders_in(const std::string& path, std::size_t max) {
  std::vector<std::string> names;
  UniqueFd fd = open_beneath(path, O_RDONLY | O_DIRECTORY);
  if (!fd) return names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (!directory) return names;
  (void)fd.release();  // the stream owns it now
  while (const dirent* entry = ::readdir(directory.get())) {
    if (is_safe_name(entry->d_name)) names.emplace_back(entry->d_name);
    if (names.size() >= max) break;
  }
  return names;
}

}  // namespace assay::agent
