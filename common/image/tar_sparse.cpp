// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_sparse.h"

#include <algorithm>

namespace assay::image {
namespace {

constexpr std::size_t kPieceBytes = 24;

Error corrupt(std::string message) {
  return {ErrorCode::kCorrupt, "tar: " + std::move(message)};
}

Error too_many() {
  return {ErrorCode::kLimitExceeded, "tar: a sparse file has more than " +
                                         std::to_string(kMaxSparsePieces) + " pieces of data"};
}

std::string_view value_of(const PaxRecords& records, const char* key) {
  const auto found = records.find(key);
  return found == records.end() ? std::string_view() : std::string_view(found->second);
}

}  // namespace

SparseFormat sparse_format(const PaxRecords& records) {
  const std::string_view major = value_of(records, "GNU.sparse.major");
  const std::string_view minor = value_of(records, "GNU.sparse.minor");
  if (major == "0" && (minor == "0" || minor == "1")) return SparseFormat::kInHeader;
  if (major == "1" && minor == "0") return SparseFormat::kInData;
  if (!major.empty() || !minor.empty()) return SparseFormat::kNone;
  return value_of(records, "GNU.sparse.map").empty() ? SparseFormat::kNone
                                                     : SparseFormat::kInHeader;
}

Result<void> parse_old_sparse(std::string_view fields, std::vector<SparsePiece>& pieces) {
  for (; fields.size() >= kPieceBytes && fields[0] != '\0'; fields.remove_prefix(kPieceBytes)) {
    ASSAY_ASSIGN(const std::int64_t offset, parse_tar_number(fields.substr(0, 12)));
    ASSAY_ASSIGN(const std::int64_t length, parse_tar_number(fields.substr(12, 12)));
    if (offset < 0 || length < 0) return corrupt("a sparse file's map holds a negative number");
    if (pieces.size() == kMaxSparsePieces) return too_many();
    pieces.push_back({static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)});
  }
  return ok();
}

Result<std::vector<SparsePiece>> parse_sparse_map(const PaxRecords& records) {
  ASSAY_ASSIGN(const std::int64_t count, parse_decimal(value_of(records, "GNU.sparse.numblocks")));
  std::string_view text = value_of(records, "GNU.sparse.map");
  if (text.ends_with(',')) return corrupt("a sparse file's map ends in a comma");
  std::vector<SparsePiece> pieces;
  while (!text.empty()) {
    std::array<std::uint64_t, 2> numbers = {};
    for (std::uint64_t& number : numbers) {
      const std::size_t comma = std::min(text.find(','), text.size());
      ASSAY_ASSIGN(const std::int64_t value, parse_decimal(text.substr(0, comma)));
      number = static_cast<std::uint64_t>(value);
      text.remove_prefix(std::min(comma + 1, text.size()));
    }
    if (pieces.size() == kMaxSparsePieces) return too_many();
    pieces.push_back({numbers[0], numbers[1]});
  }
  if (static_cast<std::uint64_t>(count) != pieces.size())
    return corrupt("a sparse file's map has another number of pieces than it says");
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
