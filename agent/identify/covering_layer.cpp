// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/covering_layer.h"

#include <fcntl.h>
#include <sys/xattr.h>

#include <cerrno>

#include "common/base/unique_fd.h"
#include "common/image/layer_marks.h"
#include "common/image/safe_open.h"

namespace assay::agent {
namespace {

bool is_opaque(int fd, image::Dialect dialect) {
  const auto readable = image::open_beneath(fd, ".", O_RDONLY | O_DIRECTORY);
  if (!readable) return false;
  const auto marks = image::read_directory_marks(dialect, readable->get());
  return marks && marks->is_opaque;
}

}  // namespace

bool is_whiteout_device(const struct statx& status) {
  return S_ISCHR(status.stx_mode) && status.stx_rdev_major == 0 && status.stx_rdev_minor == 0;
}

Cover cover_in(int fd, const std::string& path, image::Dialect dialect, const struct statx* seen) {
  UniqueFd folder;
  bool is_below_opaque = false;
  const Cover otherwise[] = {Cover::kNone, Cover::kFolder};
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    const int at = folder ? folder.get() : fd;
    struct statx status {};
    if (!image::stat_at(at, name.c_str(), status)) return otherwise[is_below_opaque];
    if (is_whiteout_device(status)) return Cover::kDeleted;
    if (end == path.size()) {
      const bool is_another = S_ISDIR(status.stx_mode)
                                  ? seen == nullptr
                                  : seen != nullptr && seen->stx_ino != status.stx_ino;
      return is_another || is_below_opaque ? otherwise[is_below_opaque] : Cover::kReplaced;
    }
    if (!S_ISDIR(status.stx_mode)) return Cover::kReplaced;
    auto below = image::open_beneath(at, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!below) return otherwise[is_below_opaque];
    folder = std::move(*below);
    is_below_opaque |= is_opaque(folder.get(), dialect);
    begin = end + 1;
  }
  return otherwise[is_below_opaque];
}

std::string text_of_run(Cover cover) {
  switch (cover) {
    case Cover::kDeleted:
      return "deleted in the container";
    case Cover::kFolder:
      return "its folder was replaced in the container";
    default:
      return "edited in the container";
  }
}

std::string text_of_layer(Cover cover, const std::string& layer) {
  switch (cover) {
    case Cover::kDeleted:
      return "deleted by " + layer;
    case Cover::kFolder:
      return "hidden by an opaque folder of " + layer;
    default:
      return "replaced by " + layer;
  }
}

Result<bool> has_access_list(int fd) {
  // Attributes cannot be read through O_PATH, but by the name of the descriptor.
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  if (::getxattr(path.c_str(), "system.posix_acl_access", nullptr, 0) >= 0) return true;
  if (errno == ENODATA || errno == EOPNOTSUPP) return false;
  return system_error("read an access list");
}

}  // namespace assay::agent
