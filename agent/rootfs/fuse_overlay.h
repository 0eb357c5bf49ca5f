// SPDX-License-Identifier: Apache-2.0
// Roots that fuse-overlayfs serves: the program is asked by its command line, the kernel by which
// superblock it serves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

inline constexpr std::uint32_t kMagicFuse = 0x65735546;

/// What a command line of fuse-overlayfs says.
struct FuseOverlayCommand {
  std::vector<std::string> lower;  ///< top first, as it stacks them
  std::string mount_point;
};

/// Reads the arguments of /proc/PID/cmdline, each ended by a zero. Nothing when they name no lower
/// directory or no mount point, or use a plugin as a layer.
/// Source: fuse-overlayfs 1.14 main.c fuse_opt_proc, read_dirs; fuse_opt_parse of libfuse.
std::optional<FuseOverlayCommand> parse_fuse_overlay_command(std::string_view cmdline);

/// Fills in the layers of `start`, whose root is a FUSE superblock, if a fuse-overlayfs of the
/// host's root serves it. One that a user runs is left as it is: it shows whatever that user wants,
/// and its layers' names may lead anywhere.
void complete_from_fuse_overlay(ContainerStart& start);

}  // namespace assay::agent
