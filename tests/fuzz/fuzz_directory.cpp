// SPDX-License-Identifier: Apache-2.0
// A directory tree of any shape, walked in every dialect. The input is steps of four bytes and a
// name each: what is made, with which mode, how much of the input is its name, how many bytes it
// holds. A walk has an answer or an error; a second walk has the same one.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "tests/fuzz/memory_folder.h"

using namespace assay;

namespace {

constexpr std::size_t kMaxSteps = 40;

void require(bool holds) {
  if (!holds) std::abort();
}

/// A name that stays below the root: no "..", nothing absolute.
std::string below(const std::string& root, std::string_view name) {
  std::string path(name.substr(0, name.find('\0')));
  for (std::size_t at = path.find(".."); at != std::string::npos; at = path.find(".."))
    path[at] = '_';
  return root + "/" + path;
}

void make(const std::string& root, std::uint8_t what, std::uint8_t mode, std::uint8_t size,
          std::string_view name) {
  const std::string path = below(root, name);
  constexpr const char* kXattrs[] = {"trusted.overlay.opaque",
                                     "trusted.overlay.redirect",
                                     "trusted.overlay.metacopy",
                                     "user.overlay.opaque",
                                     "user.overlay.whiteout",
                                     "user.containers.override_stat",
                                     "user.any",
                                     "security.capability"};
  switch (what % 8) {
    case 0:
      (void)::mkdir(path.c_str(), 0700U | mode);
      break;
    case 1: {
      const UniqueFd file(::open(
          path.c_str(), O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600U | mode));
      if (file) (void)!::write(file.get(), name.data(), std::min<std::size_t>(size, name.size()));
      break;
    }
    case 2:
      (void)!::symlink(std::string(name.substr(0, size)).c_str(), path.c_str());
      break;
    case 3:
      (void)::mknod(path.c_str(), S_IFCHR | mode, makedev(0, 0));
      break;
    case 4:
      (void)::mkfifo(path.c_str(), 0600U | mode);
      break;
    case 5:
      (void)!::link(below(root, name.substr(0, size)).c_str(), path.c_str());
      break;
    case 6:
      (void)::lsetxattr(path.c_str(), kXattrs[mode % std::size(kXattrs)], name.data(),
                        std::min<std::size_t>(size, name.size()), 0);
      break;
    default:
      (void)::chmod(path.c_str(), 0700U | (mode & 07077U));
  }
}

void walk(const std::string& root) {
  const UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  require(static_cast<bool>(fd));
  for (const auto dialect :
       {image::Dialect::kPlain, image::Dialect::kOverlay, image::Dialect::kOverlayUser,
        image::Dialect::kAufs, image::Dialect::kFuseOverlay}) {
    image::WalkOptions options;
    options.dialect = dialect;
    options.limits.max_entries = 30;
    options.limits.max_content_bytes = 1000;
    options.limits.max_depth = 6;
    const auto once = image::fingerprint_directory(fd.get(), options, {});
    options.page_cache = image::PageCache::kSpare;
    options.hash_thread = image::HashThread::kOwn;
    const auto again = image::fingerprint_directory(fd.get(), options, {});
    require(once.has_value() == again.has_value());
    if (once) require(once->shape == again->shape && once->content == again->content);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fuzz::MemoryFolder folder;
  const std::string& root = folder.path();
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (std::size_t step = 0; step < kMaxSteps && bytes.size() > 4; ++step) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); };
    const std::string_view name = bytes.substr(4, byte(2) % 64U);
    make(root, byte(0), byte(1), byte(3), name);
    bytes.remove_prefix(4 + name.size());
  }
  walk(root);
  return 0;
}
