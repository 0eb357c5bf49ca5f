// SPDX-License-Identifier: Apache-2.0
// Block devices that one file system after the other is behind.
#pragma once

#include <sys/sysmacros.h>

#include <cstdint>

namespace assay::agent {

/// Whether what a device number stands for changes while the machine runs: loop, network and RAM
/// block devices. Their file systems are often copies of one image, with one UUID and the same
/// inodes, generations and times; so no directory there is known by these.
/// Source: Linux Documentation/admin-guide/devices.txt.
inline bool is_exchangeable_device(std::uint64_t device) {
  constexpr unsigned int kRam = 1;
  constexpr unsigned int kLoop = 7;
  constexpr unsigned int kNbd = 43;
  const unsigned int number = major(device);
  return number == kRam || number == kLoop || number == kNbd;
}

}  // namespace assay::agent
