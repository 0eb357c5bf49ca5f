// SPDX-License-Identifier: Apache-2.0
// The fs-verity descriptor of our kind of digest. Private to common/image.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "common/base/digest.h"

namespace assay::image {

inline constexpr std::size_t kVerityRootOffset = 16;
using VerityDescriptor = std::array<std::uint8_t, 256>;

/// struct fsverity_descriptor, all numbers little-endian.
/// Source: Linux Documentation/filesystems/fsverity.rst, "fs-verity descriptor".
inline VerityDescriptor verity_descriptor(std::uint64_t size, const DigestBytes& root) {
  VerityDescriptor out = {};
  out[0] = 1;   // version
  out[1] = 1;   // FS_VERITY_HASH_ALG_SHA256
  out[2] = 12;  // log2 of the block size
  for (std::size_t i = 0; i < 8; ++i)
    out[8 + i] = static_cast<std::uint8_t>(size >> (8 * i));
  std::memcpy(out.data() + kVerityRootOffset, root.data(), root.size());
  return out;
}

}  // namespace assay::image
