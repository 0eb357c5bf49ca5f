// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/layer_opener.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "agent/core/block_device.h"
#include "agent/core/run_identity.h"
#include "agent/rootfs/file_handle.h"
#include "agent/rootfs/file_system.h"
#include "agent/rootfs/layer_directory.h"
#include "agent/rootfs/layer_name.h"

namespace assay::agent {
namespace {

class OpenLayer final : public Layer {
 public:
  OpenLayer(UniqueFd fd, catalog::LayerInstance instance, bool is_cacheable)
      : fd_(std::move(fd)), instance_(std::move(instance)), is_cacheable_(is_cacheable) {}

  const catalog::LayerInstance& instance() const override { return instance_; }
  int fd() const override { return fd_.get(); }
  bool is_cacheable() const override { return is_cacheable_; }

 private:
  const UniqueFd fd_;
  const catalog::LayerInstance instance_;
  const bool is_cacheable_;
};

Error unsupported(std::uint32_t magic) {
  return {ErrorCode::kUnsupported,
          "a layer on the file system " + file_system_name(magic) + " is not read"};
}

Error not_the_one(const char* what) {
  return {ErrorCode::kNotFound, std::string("the directory found has another ") + what};
}

/// Not an answer about the name: the process, the node or the disk could not give one.
bool could_not_look(int sys_errno) {
  constexpr int kErrors[] = {EMFILE, ENFILE, ENOMEM, EIO, EUCLEAN, EAGAIN, EINTR};
  return std::ranges::find(kErrors, sys_errno) != std::end(kErrors);
}

std::string pid_dir_of(std::uint32_t pid) {
  return "/proc/" + std::to_string(pid);
}

std::vector<std::string> names_to_try(const LowerLayer& layer) {
  std::vector<std::string> names;
  if (!is_usable_name(layer.name, layer.name_is_truncated)) return names;
  names.push_back(unescape_lower_name(layer.name));
  if (names.front() != layer.name) names.push_back(layer.name);
  return names;
}

/// The roots through which a name may mean what it meant to the mounter: those of the container's
/// ancestors, nearest first, then the agent's own.
std::vector<std::string> pid_dirs_to_try(const ContainerStart& start) {
  std::vector<std::string> dirs;
  for (const ProcessInfo& ancestor : start.ancestors)
    if (ancestor.key.tgid != 0) dirs.push_back(pid_dir_of(ancestor.key.tgid));
  dirs.emplace_back("/proc/self");
  return dirs;
}

/// The same directory on a private copy of its mount that has no mounts inside; where that needs a
/// privilege that is missing (CAP_SYS_ADMIN), the directory as it is.
UniqueFd without_submounts(UniqueFd fd) {
  constexpr unsigned int kFlags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  UniqueFd copy(static_cast<int>(::syscall(SYS_open_tree, fd.get(), "", kFlags)));
  return copy ? std::move(copy) : std::move(fd);
}

}  // namespace

Result<std::unique_ptr<Layer>> VerifyingLayerOpener::open(const LowerLayer& layer,
                                                          const ContainerStart& start) {
  // Before anything is touched: a look-up on a FUSE or network mount may never return.
  if (layer.magic != 0 && !is_readable_file_system(layer.magic)) return unsupported(layer.magic);
  if (layer.may_hang)
    return Error{
        ErrorCode::kUnsupported,
        "a layer on an overlay that itself stands on fuse or another file system that is not read"};
  const Wanted wanted{layer.device, layer.inode, layer.generation};
  auto by_handle = open_by_handle(layer);
  Error error;
  if (by_handle) {
    auto opened = verified(std::move(*by_handle), wanted, "/proc/self");
    if (opened || opened.error().code == ErrorCode::kUnsupported) return opened;
    error = std::move(opened.error());
  } else {
    error = std::move(by_handle.error());
  }
  auto by_name = open_by_name(layer, start);
  if (by_name || by_name.error().code == ErrorCode::kUnsupported) return by_name;
  const bool has_name = !names_to_try(layer).empty();
  if (!has_name && error.code == ErrorCode::kUnsupported) return error;
  // A name that leads nowhere proves nothing while the kernel was not asked for the inode. That it
  // has no such inode is its answer for one that it could not read, too: then the name says why.
  const bool was_answered =
      error.code == ErrorCode::kNotFound || error.code == ErrorCode::kUnsupported;
  return was_answered ? std::move(by_name.error()) : std::move(error);
}

Result<UniqueFd> VerifyingLayerOpener::open_by_handle(const LowerLayer& layer) {
  auto mount = mounts_.find(layer.device);
  if (!mount) {
    if (mount.error().code == ErrorCode::kNotFound) mount.error().code = ErrorCode::kUnavailable;
    return std::move(mount.error());
  }
  ASSAY_ASSIGN(const std::uint32_t magic, magic_of((*mount)->get()));
  auto opened = open_directory_by_handle((*mount)->get(), magic, layer.inode, layer.generation);
  if (!opened && opened.error().code == ErrorCode::kNotFound) mounts_.drop(layer.device);
  return opened;
}

Result<std::unique_ptr<Layer>> VerifyingLayerOpener::open_by_name(const LowerLayer& layer,
                                                                  const ContainerStart& start) {
  const Wanted wanted{layer.device, layer.inode, layer.generation};
  Error last{ErrorCode::kNotFound, "the layer is not there any more, or its name leads nowhere"};
  const std::vector<std::string> names = names_to_try(layer);
  if (names.empty()) return last;
  for (const std::string& pid_dir : pid_dirs_to_try(start)) {
    const std::string root_link = pid_dir == "/proc/self" ? "/" : pid_dir + "/root";
    const UniqueFd root(::open(root_link.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!root) {
      if (could_not_look(errno)) last = system_error("open " + root_link);
      continue;
    }
    for (const std::string& name : names) {
      UniqueFd fd = open_in_root(root, name);
      if (!fd) {
        if (could_not_look(errno)) last = system_error("look the layer up by its name");
        continue;
      }
      auto opened = verified(std::move(fd), wanted, pid_dir);
      if (opened) return opened;
      if (last.code == ErrorCode::kNotFound) last = std::move(opened.error());
    }
  }
  return last;
}

Result<std::unique_ptr<Layer>> VerifyingLayerOpener::open_root(const ContainerStart& start) {
  const RootIdentity& root = start.key.root;
  if (root.magic != 0 && !is_readable_file_system(root.magic)) return unsupported(root.magic);
  const Wanted wanted{root.device, root.inode, root.generation};
  LowerLayer directory;
  directory.device = root.device;
  directory.inode = root.inode;
  directory.generation = root.generation;
  // By handle first: /proc/PID/root shows the container's mounts in it, and a walk stops at mounts.
  if (auto by_handle = open_by_handle(directory)) {
    auto opened = verified(std::move(*by_handle), wanted, "/proc/self", Submounts::kLeftOut);
    if (opened) return opened;
  }
  const std::string pid_dir = pid_dir_of(start.process.key.tgid);
  UniqueFd fd(::open((pid_dir + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) {
    Error error =
        system_error("open the root of process " + std::to_string(start.process.key.tgid));
    if (error.code != ErrorCode::kPermissionDenied) error.code = ErrorCode::kNotFound;
    return error;
  }
  return verified(std::move(fd), wanted, pid_dir, Submounts::kLeftOut);
}

Result<std::unique_ptr<Layer>> VerifyingLayerOpener::verified(UniqueFd fd, const Wanted& wanted,
                                                              const std::string& pid_dir,
                                                              Submounts submounts) const {
  ASSAY_ASSIGN(const std::uint32_t magic, magic_of(fd.get()));
  if (!is_readable_file_system(magic)) return unsupported(magic);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return system_error("fstat");
  if (status.st_ino != wanted.inode) return not_the_one("inode");
  std::uint64_t device = status.st_dev;
  if (device != wanted.device && has_anonymous_devices(magic)) {
    ASSAY_ASSIGN(device, superblock_device_of(fd.get(), pid_dir));
  }
  if (device != wanted.device) return not_the_one("device");

  // ioctls need a descriptor that is open for reading; it is the same directory by construction.
  const std::string self = "/proc/self/fd/" + std::to_string(fd.get());
  const UniqueFd readable(::open(self.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
  if (!readable) return system_error("open the layer for reading");
  if (wanted.generation != 0) {
    const auto generation = generation_of(readable.get(), magic);
    if (!generation)
      return Error{ErrorCode::kUnsupported,
                   "the generation of a layer on " + file_system_name(magic) + " cannot be read"};
    if (*generation != wanted.generation) return not_the_one("generation");
  }
  catalog::LayerInstance instance{file_system_identity(readable.get(), wanted.device, boot_id_),
                                  wanted.inode, wanted.generation, birth_of(readable.get())};
  const bool is_cacheable = (magic == kMagicExt || magic == kMagicXfs) &&
                            !is_exchangeable_device(wanted.device) && instance.generation != 0 &&
                            instance.birth_ns != 0;
  if (submounts == Submounts::kLeftOut) fd = without_submounts(std::move(fd));
  return std::unique_ptr<Layer>(
      std::make_unique<OpenLayer>(std::move(fd), std::move(instance), is_cacheable));
}

}  // namespace assay::agent
