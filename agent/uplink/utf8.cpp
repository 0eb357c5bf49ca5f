// SPDX-License-Identifier: Apache-2.0
#include "agent/uplink/utf8.h"

namespace assay::agent {
namespace {

bool is_continuation(unsigned char byte) {
  return (byte & 0xC0U) == 0x80U;
}

/// Length of the UTF-8 sequence at the start of `text`, 0 when it is none (RFC 3629).
std::size_t utf8_length(std::string_view text) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = at(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if (!is_continuation(at(i))) return 0;
  const bool is_overlong = (lead == 0xE0 && at(1) < 0xA0) || (lead == 0xF0 && at(1) < 0x90);
  const bool is_surrogate = lead == 0xED && at(1) >= 0xA0;
  const bool is_too_high = lead == 0xF4 && at(1) >= 0x90;
  return is_overlong || is_surrogate || is_too_high ? 0 : length;
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size());
  while (!bytes.empty()) {
    if (const std::size_t length = utf8_length(bytes); length > 0) {
      text.append(bytes.substr(0, length));
      bytes.remove_prefix(length);
      continue;
    }
    const auto byte = static_cast<unsigned char>(bytes.front());
    text += {'\\', 'x', kDigits[byte >> 4U], kDigits[byte & 15U]};
    bytes.remove_prefix(1);
  }
  return text;
}

}  // namespace assay::agent
