// SPDX-License-Identifier: Apache-2.0
// The maps of sparse files, in the four formats that GNU tar has written. Private to common/image.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/image/tar_header.h"

namespace assay::image {

/// More pieces than any file of a layer has; the map of one file takes 1 MiB of memory.
inline constexpr std::size_t kMaxSparsePieces = 1U << 16;

/// A piece of a sparse file that has data; between the pieces there are zeros.
struct SparsePiece {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

enum class SparseFormat {
  kNone,      ///< the file is stored as it is
  kInHeader,  ///< 0.0 and 0.1: the map is a PAX record
  kInData,    ///< 1.0: the map lies in front of the data
};

/// What the PAX records say of a member's format. A version that Go does not know is none, so the
/// bytes are then the file's own.
SparseFormat sparse_format(const PaxRecords& records);

/// The pieces of 24 bytes (offset, length) in an old GNU header; they end at an empty one.
/// Errors: kCorrupt, kLimitExceeded.
Result<void> parse_old_sparse(std::string_view fields, std::vector<SparsePiece>& pieces);

/// GNU.sparse.map ("offset,length,offset,length…") with as many pieces as GNU.sparse.numblocks
/// says. Errors: kCorrupt, kLimitExceeded.
Result<std::vector<SparsePiece>> parse_sparse_map(const PaxRecords& records);

/// Errors: kCorrupt when pieces overlap, run backwards, leave the file, or hold other than
/// `stored_bytes` together.
Result<void> check_sparse(std::span<const SparsePiece> pieces, std::uint64_t file_bytes,
                          std::uint64_t stored_bytes);

}  // namespace assay::image
