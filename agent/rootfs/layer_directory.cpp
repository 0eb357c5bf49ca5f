// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/layer_directory.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "agent/rootfs/file_system.h"
#include "agent/rootfs/layer_name.h"

namespace assay::agent {

UniqueFd open_in_root(const UniqueFd& root, const std::string& name) {
  struct open_how how {};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(
      static_cast<int>(::syscall(SYS_openat2, root.get(), name.c_str(), &how, sizeof(how))));
}

Result<LowerLayer> describe_layer(const std::string& root, const std::string& name) {
  if (!is_usable_name(name, false))
    return Error{ErrorCode::kNotFound, "a layer's name is not absolute"};
  const UniqueFd top(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return system_error("open " + root);
  const UniqueFd fd = open_in_root(top, name);
  if (!fd) return system_error("open a layer");
  LowerLayer layer;
  ASSAY_ASSIGN(layer.magic, magic_of(fd.get()));
  if (!is_readable_file_system(layer.magic))
    return Error{ErrorCode::kUnsupported, "a layer lies on a file system that is not read"};
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) return system_error("stat a layer");
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  const UniqueFd readable(::open(self.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  if (!readable) return system_error("open a layer for reading");
  layer.name = name;
  layer.device = status.st_dev;
  layer.inode = status.st_ino;
  layer.generation = generation_of(readable.get(), layer.magic).value_or(0);
  return layer;
}

}  // namespace assay::agent
