// SPDX-License-Identifier: Apache-2.0
// The directories in an overlay mount, as containerd describes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/runtime/containerd/client.h"

namespace assay::agent {

struct OverlayFolders {
  std::string upper;
  std::vector<std::string> lowers;  ///< bottom first
};

/// Nothing when it is no overlay of plain directories with an upper: another type, data-only
/// layers, or a template that a mount manager would fill in. Source: containerd
/// plugins/snapshots/overlay/overlay.go; Documentation/filesystems/overlayfs.rst.
std::optional<OverlayFolders> overlay_folders(const ContainerdMount& mount);

}  // namespace assay::agent
