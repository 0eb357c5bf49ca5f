// SPDX-License-Identifier: Apache-2.0
// One 512-byte tar header and one set of PAX records, read as Go's archive/tar reads them: all
// three runtimes unpack with it, so a layer means here what it means there. Private to
// common/image.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace assay::image {

inline constexpr std::size_t kTarBlockBytes = 512;
using TarBlock = std::array<char, kTarBlockBytes>;

/// Told by a header's magic bytes; the formats keep different things behind byte 263.
enum class TarFormat {
  kOld,    ///< no magic that is known
  kPosix,  ///< ustar and PAX, and Schilling's star
  kGnu,
};

struct TarHeader {
  TarFormat format = TarFormat::kOld;
  std::string name;
  std::string link_name;
  char type = '0';
  std::int64_t mode = 0;
  std::int64_t uid = 0;
  std::int64_t gid = 0;
  std::int64_t size = 0;     ///< bytes in the archive
  std::int64_t mtime_s = 0;  ///< whole seconds, rounded down
  std::int64_t device_major = 0;
  std::int64_t device_minor = 0;
};

using PaxRecords = std::map<std::string, std::string>;

bool is_zero_block(const TarBlock& block);

/// Errors: kCorrupt (checksum, a number that is none, a negative size).
/// Source: POSIX pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format"; Go
/// archive/tar reader.go, readHeader.
Result<TarHeader> parse_tar_header(const TarBlock& block);

/// A number in octal, or in base 256 when its first bit is set. Errors: kCorrupt.
Result<std::int64_t> parse_tar_number(std::string_view field);

/// Records "LENGTH KEY=VALUE\n". The offsets and lengths of GNU sparse format 0.0, which repeat
/// their keys, come out as "GNU.sparse.map". Errors: kCorrupt.
Result<PaxRecords> parse_pax(std::string_view bytes);

/// Puts path, linkpath, size, uid, gid and mtime of `records` over the header's; an empty value
/// leaves the header's own. Errors: kCorrupt.
Result<void> apply_pax(const PaxRecords& records, TarHeader& header);

/// A decimal number with nothing around it, not negative. Errors: kCorrupt.
Result<std::int64_t> parse_decimal(std::string_view text);

}  // namespace assay::image
