// SPDX-License-Identifier: Apache-2.0
// One 512-byte tar header and one set of PAX records, read as Go's archive/tar reads them: all
// three runtimes unpack with it, so a layer means here what it means there. Private to
// common/image.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::image {

inline constexpr std::size_t kTarBlockBytes = 512;
using TarBlock = std::array<char, kTarBlockBytes>;

struct TarHeader {
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

/// A piece of a sparse file that has data.
struct SparsePiece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

using PaxRecords = std::map<std::string, std::string>;

bool is_zero_block(const TarBlock& block);

/// Errors: kCorrupt (checksum, a number that is none).
/// Source: POSIX pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".
Result<TarHeader> parse_tar_header(const TarBlock& block);

/// A number in octal, or in base 256 when its first bit is set. Errors: kCorrupt.
Result<std::int64_t> parse_tar_number(std::string_view field);

/// Records "LENGTH KEY=VALUE\n". The offsets and lengths of GNU sparse format 0.0, which repeat
/// their keys, come out as "GNU.sparse.map". Errors: kCorrupt.
Result<PaxRecords> parse_pax(std::string_view bytes);

/// Puts path, linkpath, size, uid, gid and mtime of `records` over the header's. Errors: kCorrupt.
Result<void> apply_pax(const PaxRecords& records, TarHeader& header);

/// A decimal number with nothing around it, not negative. Errors: kCorrupt.
Result<std::int64_t> parse_decimal(std::string_view text);

/// Up to `max` pieces of 24 bytes (offset, length) as old GNU headers hold them; ends at an empty
/// one.
Result<void> parse_old_sparse(std::string_view fields, std::vector<SparsePiece>& pieces);

/// "offset,length,offset,length…" of GNU sparse format 0.1. Errors: kCorrupt.
Result<std::vector<SparsePiece>> parse_sparse_map(std::string_view text);

/// Errors: kCorrupt when pieces overlap, run backwards, leave the file, or hold other than
/// `stored_bytes` together.
Result<void> check_sparse(std::span<const SparsePiece> pieces, std::uint64_t file_bytes,
                          std::uint64_t stored_bytes);

}  // namespace assay::image
