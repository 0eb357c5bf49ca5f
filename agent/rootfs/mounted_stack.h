// SPDX-License-Identifier: Apache-2.0
// The layers of an overlay by where it is mounted: for roots in which no process of this kernel
// lives.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// An overlay's lower directories by the options that mountinfo shows, bottom first. Nothing when
/// there are none, more than overlayfs takes (500), data-only ones, or relative ones.
/// Source: fs/overlayfs/params.c (ovl_show_options); Documentation/filesystems/overlayfs.rst.
std::optional<std::vector<std::string>> lower_names(std::string_view options);

/// Fills in the layers of the overlay on `mount_point` of the host's mount namespace. Leaves
/// `start` as it is when none is there, or when a name does not lead to a directory.
void complete_from_mount(ContainerStart& start, const std::string& mount_point);

}  // namespace assay::agent
