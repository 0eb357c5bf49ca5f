// SPDX-License-Identifier: Apache-2.0
// CRC-64/GO-ISO, as tar-split writes it beside each file. Private to common/image.
#pragma once

#include <cstdint>
#include <span>

namespace assay::image {

/// Reflected polynomial 0xD800000000000000, begins and ends inverted: Go's hash/crc64 with
/// crc64.ISO. "123456789" gives 0xb90956c775a41001. It finds accidents, and who changed a file in a
/// hurry; it proves nothing.
class Crc64 {
 public:
  void update(std::span<const char> bytes);
  std::uint64_t value() const { return ~state_; }

 private:
  std::uint64_t state_ = ~std::uint64_t{0};
};

}  // namespace assay::image
