// SPDX-License-Identifier: Apache-2.0
// Runtimes with other kinds of stores than runtimes.h has: what they make of an image on disk. All
// below one folder, gone with the object. Failures throw.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/command.h"

namespace assay::tests {

class StoreRuntime {
 public:
  virtual ~StoreRuntime() = default;
  virtual void load(const std::string& docker_archive) = 0;
  /// The directories of the image, bottom first; one where the store keeps it as one directory.
  /// containerd-chowned and podman-keep-id start a container "one" for it, and the copy of files
  /// with other owners that they put on top is the last.
  virtual std::vector<std::string> directories(const std::string& image,
                                               const std::string& top_chain_id) = 0;
  /// Starts a container in the background and returns its first process.
  virtual pid_t start(const std::string& image, const std::string& container,
                      const std::vector<std::string>& argv) = 0;
};

/// `store`: docker-vfs, docker-remapped (userns-remap), docker-containerd (a later docker with
/// containerd's store), containerd-native, containerd-chowned, podman-vfs, podman-vfs-shifted,
/// podman-additional (the image is in a store that another store refers to), podman-rootless,
/// podman-keep-id, podman-fuse (mount program), podman-force-mask.
std::unique_ptr<StoreRuntime> start_store(std::string_view store);
/// Why it cannot run here, "" when it can.
std::string missing_for_store(std::string_view store);

/// Ids of files in stores that are shifted: image id 0 and up is this id and up on disk.
inline constexpr std::uint64_t kShiftedIds = 300'000;
/// More than the subject's highest.
inline constexpr std::uint64_t kShiftedCount = 4'000'000;
/// The ordinary user of podman-rootless and podman-keep-id, whose own id is root's in the first.
inline constexpr std::uint64_t kRootlessUser = 65'534;

/// The lower directories of a process' overlay root, bottom first.
std::vector<std::string> lower_directories_of(pid_t pid);

/// The directory on the host that is "/" of a process, whose root must not be an overlay.
std::string root_directory_of(pid_t pid);

}  // namespace assay::tests
