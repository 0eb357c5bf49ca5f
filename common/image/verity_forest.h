// SPDX-License-Identifier: Apache-2.0
// The Merkle trees of many files at once, from batches of their blocks. Private to common/image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/digest.h"
#include "common/image/verity.h"

namespace assay::image {

/// Blocks of files, each file's from a block's start on, the last one padded with zeros.
struct BlockBatch {
  /// Blocks that belong to one file: those that come next in the buffer.
  struct Piece {
    std::size_t slot = 0;
    std::size_t blocks = 0;
    std::uint64_t bytes = 0;  ///< of the file, without padding
    bool is_end = false;
  };
  /// Empty files need no blocks; more of them are no batch any more.
  static constexpr std::size_t kMaxPieces = 4096;

  explicit BlockBatch(std::size_t blocks);

  std::vector<std::uint8_t> buffer;
  std::size_t used = 0;  ///< bytes of `buffer` that are taken
  std::vector<Piece> pieces;
};

/// Not thread-safe.
class VerityForest {
 public:
  /// `hasher` must outlive this object.
  explicit VerityForest(BlockHasher& hasher) : hasher_(hasher) {}
  /// Hashes what `batch` holds, finishes every file that ends in it, and empties it.
  void take(BlockBatch& batch);
  /// The digests of the files that ended, by slot; `slots` of them. Starts anew.
  std::vector<FileDigest> finish(std::size_t slots);

 private:
  struct File {
    std::size_t slot = 0;
    std::uint64_t size = 0;
    bool is_ended = false;
    /// Digests of complete blocks by tree level, not yet hashed further; level 0 is the data.
    std::vector<std::vector<DigestBytes>> levels;
  };

  void hash_blocks(const BlockBatch& batch);
  File& file_of(const BlockBatch::Piece& piece);
  void compact(File& file);
  void climb(std::span<File> files);
  void describe(std::span<File> files);

  BlockHasher& hasher_;
  std::vector<File> files_;  // of the batch at hand; between batches at most one, still open
  std::vector<FileDigest> results_;
};

}  // namespace assay::image
