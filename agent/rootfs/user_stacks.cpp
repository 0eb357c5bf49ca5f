// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/user_stacks.h"

#include "agent/rootfs/aufs_branches.h"
#include "agent/rootfs/fuse_overlay.h"

namespace assay::agent {

void UserStacks::complete(ContainerStart& start) {
  if (start.is_overlay || !start.layers.empty()) return;
  if (start.key.root.magic == kMagicFuse) complete_from_fuse_overlay(start);
  if (start.key.root.magic == kMagicAufs) complete_from_aufs(start);
}

}  // namespace assay::agent
