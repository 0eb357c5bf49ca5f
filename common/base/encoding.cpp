// SPDX-License-Identifier: Apache-2.0
#include "common/base/encoding.h"

#include <algorithm>
#include <array>

#include "common/base/digest.h"
#include "common/base/escape_once.h"

namespace assay {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kBase64Digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int hex_value(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

int base64_value(char digit) {
  if (digit == '-') digit = '+';
  if (digit == '_') digit = '/';
  const auto position = kBase64Digits.find(digit);
  return position == std::string_view::npos ? -1 : static_cast<int>(position);
}

/// Length in bytes of the well-formed UTF-8 sequence at the start of `text`, 0 when there is none.
std::size_t utf8_length(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  std::size_t length = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf)
    length = 2;
  else if (lead >= 0xe0 && lead <= 0xef)
    length = 3;
  else if (lead >= 0xf0 && lead <= 0xf4)
    length = 4;
  else
    return 0;
  if (text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
  const auto second = static_cast<unsigned char>(text[1]);
  if (lead == 0xe0 && second < 0xa0) return 0;
  if (lead == 0xed && second > 0x9f) return 0;
  if (lead == 0xf0 && second < 0x90) return 0;
  if (lead == 0xf4 && second > 0x8f) return 0;
  return length;
}

/// C1 controls and the marks that reorder or hide text on a terminal.
bool is_unsafe_sequence(std::string_view sequence) {
  if (sequence.size() == 1) {
    const auto byte = static_cast<unsigned char>(sequence[0]);
    return byte < 0x20 || byte == 0x7f || byte == '\\';
  }
  // U+00AD is hidden, U+061C reorders, U+180E and U+FEFF are hidden; so are tags, U+E0000 to
  // U+E007F.
  if (sequence == "\xc2\xad" || sequence == "\xd8\x9c" || sequence == "\xe1\xa0\x8e" ||
      sequence == "\xef\xbb\xbf" || sequence.starts_with("\xf3\xa0\x80") ||
      sequence.starts_with("\xf3\xa0\x81"))
    return true;
  if (sequence.size() == 2 && sequence[0] == '\xc2')
    return static_cast<unsigned char>(sequence[1]) < 0xa0;
  if (sequence.size() != 3 || sequence[0] != '\xe2') return false;
  const auto second = static_cast<unsigned char>(sequence[1]);
  const auto third = static_cast<unsigned char>(sequence[2]);
  if (second == 0x80) return (third >= 0x8b && third <= 0x8f) || (third >= 0xa8 && third <= 0xae);
  return second == 0x81 && third >= 0xa0 && third <= 0xaf;
}

void append_escaped(std::string& out, unsigned char byte) {
  out += "\\x";
  out += kHexDigits[byte >> 4];
  out += kHexDigits[byte & 15];
}

}  // namespace

std::string to_hex(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kHexDigits[byte >> 4];
    text += kHexDigits[byte & 15];
  }
  return text;
}

Result<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return Error{ErrorCode::kInvalidArgument, "hex text of odd length"};
  std::string bytes;
  bytes.reserve(text.size() / 2);
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const int high = hex_value(text[i]);
    const int low = hex_value(text[i + 1]);
    if (high < 0 || low < 0) return Error{ErrorCode::kInvalidArgument, "not a hex digit"};
    bytes += static_cast<char>(high * 16 + low);
  }
  return bytes;
}

std::string to_base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = (group << 8) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j)
      text += j <= count ? kBase64Digits[(group >> (18 - 6 * j)) & 63] : '=';
  }
  return text;
}

Result<std::string> from_base64(std::string_view text) {
  const Error bad{ErrorCode::kInvalidArgument, "not base64"};
  std::size_t padding = 0;
  while (!text.empty() && text.back() == '=') {
    text.remove_suffix(1);
    ++padding;
  }
  if (padding > 2 || text.size() % 4 == 1) return bad;
  if (padding != 0 && (text.size() + padding) % 4 != 0) return bad;
  std::string bytes;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char digit : text) {
    const int value = base64_value(digit);
    if (value < 0) return bad;
    group = (group << 6) | static_cast<std::uint32_t>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>((group >> bits) & 0xff);
    }
  }
  return bytes;
}

void append_field(std::string& out, std::string_view field) {
  const auto length = static_cast<std::uint32_t>(field.size());
  for (int shift = 0; shift < 32; shift += 8)
    out += static_cast<char>((length >> shift) & 0xff);
  out += field;
}

void append_field(std::string& out, std::uint64_t number) {
  append_field(out, std::string_view(std::to_string(number)));
}

namespace {

bool is_escape(std::string_view text) {
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() >= 4 && text.starts_with("\\x") && is_digit(text[2]) && is_digit(text[3]);
}

std::string escape(std::string_view text, std::size_t max_bytes, bool keeps_escapes) {
  std::string out;
  while (!text.empty()) {
    if (out.size() >= max_bytes) return out + "…";
    if (keeps_escapes && is_escape(text)) {
      out += text.substr(0, 4);
      text.remove_prefix(4);
      continue;
    }
    const std::size_t length = utf8_length(text);
    if (length == 0 || is_unsafe_sequence(text.substr(0, length))) {
      const std::size_t count = length == 0 ? 1 : length;
      for (std::size_t i = 0; i < count; ++i)
        append_escaped(out, static_cast<unsigned char>(text[i]));
      text.remove_prefix(count);
    } else {
      out += text.substr(0, length);
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace

std::string escape_untrusted(std::string_view text, std::size_t max_bytes) {
  return escape(text, max_bytes, false);
}

std::string escape_once(std::string_view text, std::size_t max_bytes) {
  return escape(text, max_bytes, true);
}

std::string to_plain_text(std::string_view text, std::size_t max_bytes) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = std::max<std::size_t>(1, utf8_length(text));
    const std::string_view sequence = text.substr(0, length);
    const bool is_plain =
        utf8_length(text) != 0 && (sequence == "\\" || !is_unsafe_sequence(sequence));
    const std::string_view piece = is_plain ? sequence : std::string_view("?");
    if (out.size() + piece.size() > max_bytes) break;
    out += piece;
    text.remove_prefix(length);
  }
  return out;
}

std::string digest_hex(const DigestBytes& bytes) {
  return to_hex({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

Result<DigestBytes> parse_digest(std::string_view text) {
  constexpr std::string_view kPrefix = "sha256:";
  if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
  auto raw = from_hex(text);
  DigestBytes bytes{};
  if (!raw || raw->size() != bytes.size())
    return Error{ErrorCode::kInvalidArgument,
                 "not a SHA-256 digest: " + escape_untrusted(text, 80)};
  std::memcpy(bytes.data(), raw->data(), bytes.size());
  return bytes;
}

}  // namespace assay
