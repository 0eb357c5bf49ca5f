// SPDX-License-Identifier: Apache-2.0
// Bytes that can be read at any place: a file that is open, or memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "common/base/result.h"

namespace assay {

/// Thread rules are those of what stands behind it.
class ReadAt {
 public:
  virtual ~ReadAt() = default;
  /// In bytes.
  virtual std::uint64_t size() const = 0;
  /// Fills `out` from `offset` on; fewer bytes only where the end comes first. Errors:
  /// kUnavailable.
  virtual Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const = 0;
};

/// Thread-safe; the bytes must outlive it.
class MemoryBytes final : public ReadAt {
 public:
  explicit MemoryBytes(std::string_view bytes) : bytes_(bytes) {}
  std::uint64_t size() const override { return bytes_.size(); }
  Result<std::size_t> read_at(std::uint64_t offset, std::span<char> out) const override {
    if (offset >= bytes_.size()) return std::size_t{0};
    const std::size_t start = static_cast<std::size_t>(offset);
    const std::size_t count = std::min(out.size(), bytes_.size() - start);
    std::memcpy(out.data(), bytes_.data() + start, count);
    return count;
  }

 private:
  std::string_view bytes_;
};

}  // namespace assay
