// SPDX-License-Identifier: Apache-2.0
// Numbers and texts of variable length, for files that only this node reads. Private to
// common/image.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace assay::image {

/// Seven bits a byte, the lowest first; the top bit says that more follow.
void append_varint(std::string& out, std::uint64_t number);
/// Small numbers of either sign take few bytes.
void append_signed(std::string& out, std::int64_t number);
void append_text(std::string& out, std::string_view text);

/// Reads what was appended; after the first error nothing more is read. Not thread-safe.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}
  std::uint64_t varint();
  std::int64_t number();
  std::string_view text(std::uint64_t max_bytes);
  std::string_view raw(std::size_t bytes);
  bool is_ok() const { return is_ok_; }
  bool is_at_end() const { return is_ok_ && rest_.empty(); }
  std::size_t left() const { return rest_.size(); }

 private:
  std::string_view rest_;
  bool is_ok_ = true;
};

}  // namespace assay::image
