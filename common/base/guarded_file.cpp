// SPDX-License-Identifier: Apache-2.0
#include "common/base/guarded_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/file.h"
#include "common/base/unique_fd.h"

namespace assay {
namespace {

constexpr mode_t kForGroupOfRoot = S_IRUSR | S_IWUSR | S_IRGRP;
constexpr mode_t kForOwner = S_IRUSR | S_IWUSR | S_IXUSR;

Error refused(const std::string& path, const std::string& what, const std::string& command) {
  return Error{ErrorCode::kUntrusted, path + " " + what + ": " + command + " " + path};
}

Result<void> check_owner(const std::string& path, const struct stat& status) {
  if (status.st_uid == 0 || status.st_uid == ::geteuid()) return ok();
  return refused(path, "belongs to user " + std::to_string(status.st_uid) + ", who may change it",
                 "chown " + std::to_string(::geteuid()));
}

Result<void> check_secret(const std::string& path, const struct stat& status) {
  ASSAY_TRY(check_owner(path, status));
  const mode_t allowed = status.st_uid == 0 ? kForGroupOfRoot | kForOwner : kForOwner;
  if ((status.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO) & ~allowed) == 0) return ok();
  return refused(path, "is a secret that other users may read or change", "chmod 600");
}

Result<void> check_trusted(const std::string& path, const struct stat& status) {
  ASSAY_TRY(check_owner(path, status));
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return ok();
  return refused(path, "may be changed by other users", "chmod go-w");
}

}  // namespace

Result<std::string> read_guarded_file(const std::string& path, std::size_t max_bytes, Guard guard) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd) return system_error("open " + path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_error("stat " + path);
  if (S_ISREG(status.st_mode))
    ASSAY_TRY(guard == Guard::kSecret ? check_secret(path, status) : check_trusted(path, status));
  return read_open_file(fd.get(), path, max_bytes);
}

}  // namespace assay
