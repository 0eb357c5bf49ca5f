// SPDX-License-Identifier: Apache-2.0
#include "common/image/file_capability.h"

namespace assay::image {
namespace {

constexpr std::size_t kRevision3Bytes = 24;  // flags, two pairs of sets, the root id
constexpr std::size_t kRevision2Bytes = 20;
constexpr std::size_t kRevisionAt = 3;  // the highest byte of the little-endian flags

}  // namespace

std::optional<std::uint32_t> capability_root_id(std::string_view value) {
  if (value.size() != kRevision3Bytes || value[kRevisionAt] != 3) return std::nullopt;
  std::uint32_t id = 0;
  for (std::size_t i = kRevision3Bytes; i-- > kRevision2Bytes;)
    id = (id << 8) | static_cast<unsigned char>(value[i]);
  return id;
}

std::string with_capability_root_id(std::string value, std::uint32_t root_id) {
  if (root_id == 0) {
    value.resize(kRevision2Bytes);
    value[kRevisionAt] = 2;
    return value;
  }
  for (std::size_t i = kRevision2Bytes; i < kRevision3Bytes; ++i, root_id >>= 8)
    value[i] = static_cast<char>(root_id & 0xFF);
  return value;
}

}  // namespace assay::image
