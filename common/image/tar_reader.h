// SPDX-License-Identifier: Apache-2.0
// Members of a tar, one after the other, without temporary files. Private to common/image.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/image/byte_source.h"
#include "common/image/entry.h"
#include "common/image/tar_header.h"
#include "common/image/tar_sparse.h"

namespace assay::image {

/// A member's name as TarMember::entry.path has it. Errors: kCorrupt ("..").
Result<std::string> normalize_member_name(std::string_view name);

struct TarMember {
  /// `path` has no "./", no leading or trailing "/" and no empty parts; "" is the root itself.
  /// A leading "/" is dropped, as all runtimes do; ".." is an error.
  Entry entry;
  bool is_hard_link = false;
  std::string hard_link_target;  ///< in the same form as `path`
};

/// Reads ustar, PAX, GNU and old tars, long names and sparse files (holes read as zeros), as Go's
/// archive/tar does. Memory: 3 MiB of extended headers and 1 MiB of sparse map at the most.
/// Not thread-safe.
class TarReader final : public ByteSource {
 public:
  /// `source` must outlive the reader.
  explicit TarReader(ByteSource& source) : source_(source) {}

  /// Moves to the next member, over what was not read of the last; false at the end of the tar.
  /// Errors: kCorrupt, kUnsupported (a member type that no layer may hold), the source's.
  Result<bool> next(TarMember& member);
  /// Bytes of the member that next() moved to; 0 at its end.
  Result<std::size_t> read(std::span<char> out) override;

 private:
  struct Extensions;  // what extension members say about the next real one

  Result<bool> skip_rest();
  Result<bool> read_block(TarBlock& block);
  Result<bool> read_header(TarHeader& header, TarBlock& block);
  Result<std::string> read_extension(const TarHeader& header);
  Result<bool> take_extension(const TarHeader& header, Extensions& extensions);
  Result<void> begin_member(TarHeader header, const TarBlock& block, const Extensions& extensions,
                            TarMember& member);
  Result<void> begin_sparse(TarHeader& header, const TarBlock& block, const PaxRecords& pax);
  Result<std::vector<SparsePiece>> read_old_sparse(const TarBlock& block);
  Result<std::vector<SparsePiece>> read_sparse_1_0();

  ByteSource& source_;
  std::uint64_t stored_left_ = 0;  // bytes of the member still in the archive
  std::uint64_t padding_ = 0;      // after them, to the next block
  std::uint64_t position_ = 0;     // in the member as its reader sees it
  std::uint64_t member_bytes_ = 0;
  std::vector<SparsePiece> pieces_;  // where data lies; the whole file when it is not sparse
  std::size_t piece_ = 0;
};

}  // namespace assay::image
