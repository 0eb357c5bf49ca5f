// SPDX-License-Identifier: Apache-2.0
#include "common/image/record_bytes.h"

namespace assay::image {
namespace {

constexpr unsigned kMaxShift = 63;

}  // namespace

void append_varint(std::string& out, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7U)
    out.push_back(static_cast<char>((number & 0x7F) | 0x80));
  out.push_back(static_cast<char>(number));
}

void append_signed(std::string& out, std::int64_t number) {
  const auto bits = static_cast<std::uint64_t>(number);
  append_varint(out, (bits << 1U) ^ (number < 0 ? ~std::uint64_t{0} : 0));
}

void append_text(std::string& out, std::string_view text) {
  append_varint(out, text.size());
  out += text;
}

std::uint64_t ByteReader::varint() {
  std::uint64_t number = 0;
  for (unsigned shift = 0; is_ok_ && shift <= kMaxShift; shift += 7) {
    if (rest_.empty()) break;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    if (shift == kMaxShift && byte > 1) break;
    number |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
    if ((byte & 0x80U) == 0) return number;
  }
  is_ok_ = false;
  return 0;
}

std::int64_t ByteReader::number() {
  const std::uint64_t bits = varint();
  return static_cast<std::int64_t>((bits >> 1U) ^ ((bits & 1U) != 0 ? ~std::uint64_t{0} : 0));
}

std::string_view ByteReader::text(std::uint64_t max_bytes) {
  const std::uint64_t size = varint();
  if (size > max_bytes) is_ok_ = false;
  return is_ok_ ? raw(static_cast<std::size_t>(size)) : std::string_view();
}

std::string_view ByteReader::raw(std::size_t bytes) {
  if (!is_ok_ || bytes > rest_.size()) {
    is_ok_ = false;
    return {};
  }
  const std::string_view taken = rest_.substr(0, bytes);
  rest_.remove_prefix(bytes);
  return taken;
}

}  // namespace assay::image
