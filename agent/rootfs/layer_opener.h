// SPDX-License-Identifier: Apache-2.0
// Opens layer directories and proves that they are the ones the kernel named.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "agent/core/ports.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Descriptors are O_PATH|O_DIRECTORY|O_CLOEXEC. Names are hints, inodes are facts: a directory is
/// believed only after device, inode and generation agree. Thread-safe.
class VerifyingLayerOpener final : public LayerOpener {
 public:
  /// `boot_id` names superblocks without a UUID.
  explicit VerifyingLayerOpener(std::string boot_id) : boot_id_(std::move(boot_id)) {}

  Result<std::unique_ptr<Layer>> open(const LowerLayer& layer,
                                      const ContainerStart& start) override;
  Result<std::unique_ptr<Layer>> open_root(const ContainerStart& start) override;

  /// About once a second: lets go of file systems that no layer was opened on lately.
  void on_tick() { mounts_.close_idle(); }

 private:
  /// What the kernel said of the directory, and the /proc folder of a process that sees it mounted.
  struct Wanted {
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::uint32_t generation = 0;
  };
  enum class Submounts { kAsTheyAre, kLeftOut };
  Result<UniqueFd> open_by_handle(const LowerLayer& layer);
  Result<std::unique_ptr<Layer>> open_by_name(const LowerLayer& layer, const ContainerStart& start);
  Result<std::unique_ptr<Layer>> verified(UniqueFd fd, const Wanted& wanted,
                                          const std::string& pid_dir,
                                          Submounts submounts = Submounts::kAsTheyAre) const;

  const std::string boot_id_;
  MountFds mounts_;
};

}  // namespace assay::agent
