// SPDX-License-Identifier: Apache-2.0
// Roots on aufs: their branches stand in sysfs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

inline constexpr std::uint32_t kMagicAufs = 0x61756673;

/// The "si=" of an aufs superblock's options, which names its folder in sysfs; "" without one.
std::string aufs_id_of(std::string_view options);

/// The layers, bottom first, that a folder such as /sys/fs/aufs/si_ID tells: all branches but the
/// first, which the container writes to. Errors: kNotFound (no second branch, or one that is not
/// there any more), kCorrupt, and describe_layer's.
/// Source: aufs5 Documentation/ABI/testing/sysfs-aufs, fs/aufs/sysfs.c.
Result<std::vector<LowerLayer>> read_aufs_branches(const std::string& folder);

/// Fills in the layers of `start`, whose root is an aufs superblock; leaves one that sysfs does not
/// tell of (module parameter brs=0) as it is.
void complete_from_aufs(ContainerStart& start);

}  // namespace assay::agent
