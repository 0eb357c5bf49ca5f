// SPDX-License-Identifier: Apache-2.0
#include "common/base/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "common/base/unique_fd.h"

namespace assay {
namespace {

Result<void> write_all(const UniqueFd& fd, const std::string& path, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = TEMP_FAILURE_RETRY(::write(fd.get(), bytes.data(), bytes.size()));
    if (count < 0) return system_error("write " + path);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fsync(fd.get()) != 0) return system_error("fsync " + path);
  return ok();
}

}  // namespace

Result<std::string> read_open_file(int fd, const std::string& path, std::size_t max_bytes) {
  std::string bytes;
  char buffer[65536];
  for (;;) {
    const ssize_t count = TEMP_FAILURE_RETRY(::read(fd, buffer, sizeof(buffer)));
    if (count < 0) return system_error("read " + path);
    if (count == 0) return bytes;
    if (bytes.size() + static_cast<std::size_t>(count) > max_bytes)
      return Error{ErrorCode::kLimitExceeded,
                   path + " is larger than " + std::to_string(max_bytes) + " bytes"};
    bytes.append(buffer, static_cast<std::size_t>(count));
  }
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return system_error("open " + path);
  return read_open_file(fd.get(), path, max_bytes);
}

Result<std::string> read_file_at(int dir_fd, const std::string& path, std::size_t max_bytes) {
  const UniqueFd fd(
      ::openat(dir_fd, path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return system_error("open " + path);
  return read_open_file(fd.get(), path, max_bytes);
}

Result<void> write_file_atomically(const std::string& path, std::string_view bytes, mode_t mode) {
  const std::string draft = path + ".new." + std::to_string(::getpid());
  ::unlink(draft.c_str());
  {
    const UniqueFd fd(::open(draft.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd) return system_error("create " + draft);
    ASSAY_TRY(write_all(fd, draft, bytes));
  }
  if (::rename(draft.c_str(), path.c_str()) != 0) return system_error("rename to " + path);
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const UniqueFd dir(
      ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir || ::fsync(dir.get()) != 0) return system_error("fsync the folder of " + path);
  return ok();
}

}  // namespace assay
