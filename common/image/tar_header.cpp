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

// Whole seconds of "[-]SECONDS[.FRACTION]", rounded down.
Result<std::int64_t> parse_pax_time(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative) text.remove_prefix(1);
  const std::size_t dot = std::min(text.find('.'), text.size());
  ASSAY_ASSIGN(const std::int64_t seconds, parse_decimal(text.substr(0, dot)));
  const std::string_view fraction = text.substr(std::min(dot + 1, text.size()));
  if (fraction.find_first_not_of("0123456789") != std::string_view::npos)
    return corrupt("a PAX time is no number");
  const bool has_fraction = fraction.find_first_not_of('0') != std::string_view::npos;
  return is_negative ? -seconds - (has_fraction ? 1 : 0) : seconds;
}

Result<void> check_pax_record(const std::string& key, const std::string& value) {
  const bool is_text = key == "path" || key == "linkpath" || key == "uname" || key == "gname";
  const std::string& must_be_clean = is_text ? value : key;
  if (key.empty() || must_be_clean.find('\0') != std::string::npos)
    return corrupt("a PAX record holds a NUL or has no key");
  return ok();
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

Result<TarHeader> parse_tar_header(const TarBlock& block) {
  ASSAY_ASSIGN(const std::int64_t checksum, parse_tar_number(field_of(block, 148, 8)));
  if (!has_right_checksum(block, checksum)) return corrupt("a header's checksum is wrong");
  TarHeader header;
  header.name = text_of(block, 0, 100);
  header.type = block[156];
  header.link_name = text_of(block, 157, 100);
  ASSAY_ASSIGN(header.mode, parse_tar_number(field_of(block, 100, 8)));
  ASSAY_ASSIGN(header.uid, parse_tar_number(field_of(block, 108, 8)));
  ASSAY_ASSIGN(header.gid, parse_tar_number(field_of(block, 116, 8)));
  ASSAY_ASSIGN(header.size, parse_tar_number(field_of(block, 124, 12)));
  ASSAY_ASSIGN(header.mtime_s, parse_tar_number(field_of(block, 136, 12)));
  if (header.size < 0) return corrupt("a size is negative");
  const std::string_view magic = field_of(block, 257, 6);
  const bool is_posix = magic == std::string_view("ustar\0", 6);
  const bool is_star = is_posix && field_of(block, 508, 4) == std::string_view("tar\0", 4);
  if (is_posix || magic == "ustar ") {
    if (header.type == '3' || header.type == '4') {
      ASSAY_ASSIGN(header.device_major, parse_tar_number(field_of(block, 329, 8)));
      ASSAY_ASSIGN(header.device_minor, parse_tar_number(field_of(block, 337, 8)));
    }
  }
  if (is_posix) {  // GNU headers keep other things where the prefix is
    const std::string prefix = text_of(block, 345, is_star ? 131 : 155);
    if (!prefix.empty()) header.name = prefix + "/" + header.name;
  }
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
      if ((key == "GNU.sparse.numbytes") != expects_length) return corrupt("bad sparse map");
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
    }
  }
  return ok();
}

Result<void> parse_old_sparse(std::string_view fields, std::vector<SparsePiece>& pieces) {
  for (; fields.size() >= 24 && fields[0] != '\0'; fields.remove_prefix(24)) {
    ASSAY_ASSIGN(const std::int64_t offset, parse_tar_number(fields.substr(0, 12)));
    ASSAY_ASSIGN(const std::int64_t length, parse_tar_number(fields.substr(12, 12)));
    if (offset < 0 || length < 0) return corrupt("bad sparse map");
    pieces.push_back({static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)});
  }
  return ok();
}

Result<std::vector<SparsePiece>> parse_sparse_map(std::string_view text) {
  std::vector<SparsePiece> pieces;
  while (!text.empty()) {
    std::array<std::uint64_t, 2> numbers = {};
    for (std::uint64_t& number : numbers) {
      const std::size_t comma = std::min(text.find(','), text.size());
      ASSAY_ASSIGN(const std::int64_t value, parse_decimal(text.substr(0, comma)));
      number = static_cast<std::uint64_t>(value);
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    pieces.push_back({numbers[0], numbers[1]});
  }
  return pieces;
}

Result<void> check_sparse(std::span<const SparsePiece> pieces, std::uint64_t file_bytes,
                          std::uint64_t stored_bytes) {
  std::uint64_t end = 0;
  std::uint64_t stored = 0;
  for (const SparsePiece& piece : pieces) {
    if (piece.offset < end || piece.offset > file_bytes || piece.length > file_bytes - piece.offset)
      return corrupt("a sparse file's map does not fit the file");
    end = piece.offset + piece.length;
    stored += piece.length;
  }
  if (stored != stored_bytes) return corrupt("a sparse file's map does not fit its data");
  return ok();
}

}  // namespace assay::image
