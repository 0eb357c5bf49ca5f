// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/user_stacks.h"

#include "agent/rootfs/aufs_branches.h"
#include "agent/rootfs/fuse_overlay.h"

namespace assay::agent {

void UserStacks::complete(ContainerStart& start) {
  if (start.is_overlay || !start.layers.empty()) return;
  if (start.key.root.magic == kMagicFuse && may_search()) complete_from_fuse_overlay(start);
  if (start.key.root.magic == kMagicAufs) complete_from_aufs(start);
}

bool UserStacks::may_search() {
  const auto now = std::chrono::steady_clock::now();
  if (now - second_ >= std::chrono::seconds(1)) {
    second_ = now;
    searches_ = 0;
  }
  return ++searches_ <= max_searches_;
}

}  // namespace assay::agent
