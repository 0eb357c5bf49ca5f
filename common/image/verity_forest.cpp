// SPDX-License-Identifier: Apache-2.0
#include "common/image/verity_forest.h"

#include <algorithm>
#include <utility>

#include "common/base/result.h"
#include "common/image/verity_descriptor.h"

namespace assay::image {
namespace {

constexpr std::size_t kDigestsPerBlock = kVerityBlockBytes / sizeof(DigestBytes);
// An open file hands complete upper blocks on once it has this many, so that a huge file keeps no
// more than 256 KiB of digests per tree level.
constexpr std::size_t kCompactBlocks = 64;

std::span<const std::uint8_t> bytes_of(const std::vector<DigestBytes>& digests) {
  return {digests.empty() ? nullptr : digests.front().data(), digests.size() * sizeof(DigestBytes)};
}

}  // namespace

BlockBatch::BlockBatch(std::size_t blocks) : buffer(blocks * kVerityBlockBytes) {}

void VerityForest::take(BlockBatch& batch) {
  hash_blocks(batch);
  batch.pieces.clear();
  batch.used = 0;
  const bool has_open_file = !files_.empty() && !files_.back().is_ended;
  const std::size_t ended = files_.size() - (has_open_file ? 1 : 0);
  const std::span<File> done(files_.data(), ended);
  climb(done);
  describe(done);
  files_.erase(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(ended));
  if (has_open_file) compact(files_.front());
}

std::vector<FileDigest> VerityForest::finish(std::size_t slots) {
  files_.clear();
  results_.resize(slots);
  return std::exchange(results_, {});
}

void VerityForest::hash_blocks(const BlockBatch& batch) {
  std::vector<DigestBytes> digests(batch.used / kVerityBlockBytes);
  hasher_.hash(std::span(batch.buffer).first(batch.used), kVerityBlockBytes, digests);
  auto next = digests.begin();
  for (const BlockBatch::Piece& piece : batch.pieces) {
    File& file = file_of(piece);
    const auto end = next + static_cast<std::ptrdiff_t>(piece.blocks);
    if (next != end && file.levels.empty()) file.levels.emplace_back();
    if (next != end) file.levels[0].insert(file.levels[0].end(), next, end);
    next = end;
    file.size += piece.bytes;
    file.is_ended = piece.is_end;
  }
  ASSAY_ASSERT(next == digests.end());
}

VerityForest::File& VerityForest::file_of(const BlockBatch::Piece& piece) {
  if (files_.empty() || files_.back().slot != piece.slot) files_.emplace_back().slot = piece.slot;
  return files_.back();
}

void VerityForest::compact(File& file) {
  for (std::size_t level = 0; level < file.levels.size(); ++level) {
    const std::size_t blocks = file.levels[level].size() / kDigestsPerBlock;
    if (blocks < kCompactBlocks) continue;
    if (level + 1 == file.levels.size()) file.levels.emplace_back();
    auto& lower = file.levels[level];
    std::vector<DigestBytes> digests(blocks);
    hasher_.hash(bytes_of(lower).first(blocks * kVerityBlockBytes), kVerityBlockBytes, digests);
    lower.erase(lower.begin(),
                lower.begin() + static_cast<std::ptrdiff_t>(digests.size() * kDigestsPerBlock));
    auto& upper = file.levels[level + 1];
    upper.insert(upper.end(), digests.begin(), digests.end());
  }
}

// Takes the trees of ended files to their roots, one level of all of them at a time.
void VerityForest::climb(std::span<File> files) {
  std::vector<File*> climbing;
  for (std::size_t level = 0;; ++level) {
    climbing.clear();
    std::vector<DigestBytes> lower;
    for (File& file : files) {
      const bool is_top = level + 1 >= file.levels.size();
      if (level >= file.levels.size() || (is_top && file.levels[level].size() == 1)) continue;
      climbing.push_back(&file);
      lower.insert(lower.end(), file.levels[level].begin(), file.levels[level].end());
      lower.resize((lower.size() + kDigestsPerBlock - 1) / kDigestsPerBlock * kDigestsPerBlock);
    }
    if (climbing.empty()) return;
    std::vector<DigestBytes> upper(lower.size() / kDigestsPerBlock);
    hasher_.hash(bytes_of(lower), kVerityBlockBytes, upper);
    auto next = upper.begin();
    for (File* file : climbing) {
      const std::size_t count = file->levels[level].size();
      const auto end =
          next + static_cast<std::ptrdiff_t>((count + kDigestsPerBlock - 1) / kDigestsPerBlock);
      if (level + 1 == file->levels.size()) file->levels.emplace_back();
      file->levels[level].clear();
      file->levels[level + 1].insert(file->levels[level + 1].end(), next, end);
      next = end;
    }
  }
}

void VerityForest::describe(std::span<File> files) {
  if (files.empty()) return;
  results_.resize(std::max(results_.size(), files.back().slot + 1));
  std::vector<VerityDescriptor> descriptors;
  descriptors.reserve(files.size());
  for (const File& file : files) {
    const DigestBytes root = file.size == 0 ? DigestBytes{} : file.levels.back().front();
    descriptors.push_back(verity_descriptor(file.size, root));
  }
  std::vector<DigestBytes> digests(files.size());
  hasher_.hash({descriptors.front().data(), descriptors.size() * sizeof(VerityDescriptor)},
               sizeof(VerityDescriptor), digests);
  for (std::size_t i = 0; i < files.size(); ++i)
    results_[files[i].slot] = FileDigest{digests[i]};
}

}  // namespace assay::image
