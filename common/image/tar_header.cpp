// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_header.h"

#include <algorithm>
#include <charconv>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, "tar: " + std::move(message)};
}

std::string_view field_of(const TarBlock& block, std::size_t offset, std::size_t length) {
  return {block.data() + offset, length};
}

std::string text_of(const TarBlock& block, std::size_t offset, std::size_t length) {
  const std::string_view field = field_of(block, offset, length);
  return std::string(field.substr(0, field.find('\0')));
}

Result<std::int64_t> parse_base256(std::string_view field) {
  const bool is_negative = (static_cast<unsigned char>(field[0]) & 0x40U) != 0;
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < field.size(); ++i) {
    auto byte = static_cast<unsigned char>(field[i]);
    if (is_negative) byte = static_cast<unsigned char>(~byte);
    if (i == 0) byte &= 0x7fU;
    if ((value >> 56) != 0) return corrupt("a number does not fit");
    value = (value << 8) | byte;
  }
  if ((value >> 63) != 0) return corrupt("a number does not fit");
  const auto number = static_cast<std::int64_t>(value);
  return is_negative ? -1 - number : number;
}

// Digits with spaces and NULs around them; nothing at all is 0.
Result<std::int64_t> parse_octal(std::string_view field) {
  const std::size_t start = field.find_first_not_of(std::string_view(" \0", 2));
  if (start == std::string_view::npos) return std::int64_t{0};
  field.remove_prefix(start);
  field = field.substr(0, field.find_last_not_of(std::string_view(" \0", 2)) + 1);
  field = field.substr(0, field.find('\0'));
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (failure != std::errc() || end != field.data() + field.size() || value < 0)
    return corrupt("\"" + escape_untrusted(field, 32) + "\" is no octal number");
  return value;
}

bool has_right_checksum(const TarBlock& block, std::int64_t wanted) {
  std::int64_t as_unsigned = 0;
  std::int64_t as_signed = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char byte = i >= 148 && i < 156 ? ' ' : block[i];
    as_unsigned += static_cast<unsigned char>(byte);
    as_signed += static_cast<signed char>(byte);
  }
  return wanted == as_unsigned || wanted == as_signed;
}

// 2^63 - 1 nanoseconds, the last time that the runtimes keep.
constexpr std::int64_t kLastSecond = 9'223'372'036;
constexpr std::string_view kLastFraction = "854775807";

// Whole seconds of "[-]SECONDS[.FRACTION]", rounded down; a time behind the last one that is kept
// gives a second behind it.
Result<std::int64_t> parse_pax_time(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  const std::size_t dot = std::min(text.find('.'), text.size());
  ASSAY_ASSIGN(const std::int64_t seconds, parse_decimal(text.substr(0, dot)));
  const std::string_view fraction = text.substr(std::min(dot + 1, text.size()));
  if (fraction.find_first_not_of("0123456789") != std::string_view::npos)
    return corrupt("a PAX time is no number");
  const bool has_fraction = fraction.find_first_not_of('0') != std::string_view::npos;
  if (!is_negative && seconds == kLastSecond && fraction.substr(0, 9) > kLastFraction)
    return seconds + 1;
  return is_negative ? -seconds - (has_fraction ? 1 : 0) : seconds;
}

Result<void> check_pax_record(const std::string& key, const std::string& value) {
  const bool is_text = key == "path" || key == "linkpath" || key == "uname" || key == "gname";
  const std::string& must_be_clean = is_text ? value : key;
  if (key.empty() || must_be_clean.find('\0') != std::string::npos)
    return corrupt("a PAX record holds a NUL or has no key");
  return ok();
}

TarFormat format_of(const TarBlock& block) {
  const std::string_view magic = field_of(block, 257, 8);
  if (magic.starts_with(std::string_view("ustar\0", 6))) return TarFormat::kPosix;
  return magic == std::string_view("ustar  \0", 8) ? TarFormat::kGnu : TarFormat::kOld;
}

bool is_number(std::string_view field) {
  return field[0] == '\0' || parse_tar_number(field).has_value();
}

// What stands before the name. GNU headers keep two times there; where those are no numbers the
// tar is one that Go wrote before its version 1.8, which believed that the prefix were there.
// Source: Go archive/tar reader.go, readHeader (golang.org/issue/12594).
std::string prefix_of(const TarBlock& block, TarFormat format) {
  if (format == TarFormat::kOld) return {};
  if (format == TarFormat::kPosix) {
    const bool is_star = field_of(block, 508, 4) == std::string_view("tar\0", 4);
    return text_of(block, 345, is_star ? 131 : 155);
  }
  if (is_number(field_of(block, 345, 12)) && is_number(field_of(block, 357, 12))) return {};
  std::string prefix = text_of(block, 345, 155);
  const bool is_ascii =
      std::ranges::all_of(prefix, [](char byte) { return static_cast<signed char>(byte) > 0; });
  return is_ascii ? prefix : std::string();
}

}  // namespace

bool is_zero_block(const TarBlock& block) {
  return std::ranges::all_of(block, [](char byte) { return byte == '\0'; });
}

Result<std::int64_t> parse_decimal(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc() || end != text.data() + text.size() || value < 0)
    return corrupt("\"" + escape_untrusted(text, 32) + "\" is no number");
  return value;
}

Result<std::int64_t> parse_tar_number(std::string_view field) {
  if (!field.empty() && (static_cast<unsigned char>(field[0]) & 0x80U) != 0)
    return parse_base256(field);
  return parse_octal(field);
}

Result<TarHeader> parse_tar_header(const TarBlock& block) {
  const auto checksum = parse_octal(field_of(block, 148, 8));
  if (!checksum || !has_right_checksum(block, *checksum))
    return corrupt("a header's checksum is wrong");
  TarHeader header;
  header.format = format_of(block);
  header.name = text_of(block, 0, 100);
  header.type = block[156];
  header.link_name = text_of(block, 157, 100);
  ASSAY_ASSIGN(header.mode, parse_tar_number(field_of(block, 100, 8)));
  ASSAY_ASSIGN(header.uid, parse_tar_number(field_of(block, 108, 8)));
  ASSAY_ASSIGN(header.gid, parse_tar_number(field_of(block, 116, 8)));
  ASSAY_ASSIGN(header.size, parse_tar_number(field_of(block, 124, 12)));
  ASSAY_ASSIGN(header.mtime_s, parse_tar_number(field_of(block, 136, 12)));
  if (header.size < 0) return corrupt("a size is negative");
  if (header.format != TarFormat::kOld && (header.type == '3' || header.type == '4')) {
    ASSAY_ASSIGN(header.device_major, parse_tar_number(field_of(block, 329, 8)));
    ASSAY_ASSIGN(header.device_minor, parse_tar_number(field_of(block, 337, 8)));
  }
  const std::string prefix = prefix_of(block, header.format);
  if (!prefix.empty()) header.name = prefix + "/" + header.name;
  return header;
}

Result<PaxRecords> parse_pax(std::string_view bytes) {
  PaxRecords records;
  std::string sparse_map;
  bool expects_length = false;
  while (!bytes.empty()) {
    const std::size_t space = bytes.find(' ');
    if (space == std::string_view::npos) return corrupt("a PAX record has no length");
    ASSAY_ASSIGN(const std::int64_t length, parse_decimal(bytes.substr(0, space)));
    const auto end = static_cast<std::uint64_t>(length);
    if (end > bytes.size() || end < space + 3 || bytes[end - 1] != '\n')
      return corrupt("a PAX record's length is wrong");
    const std::string_view record = bytes.substr(space + 1, end - space - 2);
    bytes.remove_prefix(end);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return corrupt("a PAX record has no \"=\"");
    const std::string key(record.substr(0, equals));
    std::string value(record.substr(equals + 1));
    ASSAY_TRY(check_pax_record(key, value));
    if (key == "GNU.sparse.offset" || key == "GNU.sparse.numbytes") {
      if ((key == "GNU.sparse.numbytes") != expects_length || value.find(',') != std::string::npos)
        return corrupt("bad sparse map");
      expects_length = !expects_length;
      sparse_map += (sparse_map.empty() ? "" : ",") + value;
    } else {
      records[key] = std::move(value);
    }
  }
  if (expects_length) return corrupt("bad sparse map");
  if (!sparse_map.empty()) records["GNU.sparse.map"] = std::move(sparse_map);
  return records;
}

Result<void> apply_pax(const PaxRecords& records, TarHeader& header) {
  for (const auto& [key, value] : records) {
    if (value.empty()) continue;  // takes the record back: the header's own value counts
    if (key == "path") header.name = value;
    if (key == "linkpath") header.link_name = value;
    if (key == "size") {
      ASSAY_ASSIGN(header.size, parse_decimal(value));
    } else if (key == "uid") {
      ASSAY_ASSIGN(header.uid, parse_decimal(value));
    } else if (key == "gid") {
      ASSAY_ASSIGN(header.gid, parse_decimal(value));
    } else if (key == "mtime") {
      ASSAY_ASSIGN(header.mtime_s, parse_pax_time(value));
    } else if (key == "atime" || key == "ctime") {
      ASSAY_TRY(parse_pax_time(value));  // not used, but a reader that cannot read it stops
    }
  }
  return ok();
}

}  // namespace assay::image
