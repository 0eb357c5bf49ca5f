// SPDX-License-Identifier: Apache-2.0
#include "common/image/verity.h"

#include <algorithm>
#include <cstring>

#include "common/base/result.h"

namespace assay::image {
namespace {

constexpr std::size_t kDigestsPerBlock = kVerityBlockBytes / sizeof(DigestBytes);
constexpr std::size_t kDescriptorBytes = 256;
constexpr std::size_t kMaxBufferBlocks = 8192;
// An open file hands complete upper blocks on once it has this many, so that a huge file keeps no
// more than 256 KiB of digests per tree level.
constexpr std::size_t kCompactBlocks = 64;

std::span<const std::uint8_t> bytes_of(const std::vector<DigestBytes>& digests) {
  return {digests.empty() ? nullptr : digests.front().data(), digests.size() * sizeof(DigestBytes)};
}

// struct fsverity_descriptor, all numbers little-endian.
void write_descriptor(std::uint8_t* out, std::uint64_t size, const DigestBytes& root) {
  std::memset(out, 0, kDescriptorBytes);
  out[0] = 1;   // version
  out[1] = 1;   // FS_VERITY_HASH_ALG_SHA256
  out[2] = 12;  // log2 of the block size
  for (int i = 0; i < 8; ++i)
    out[8 + i] = static_cast<std::uint8_t>(size >> (8 * i));
  std::memcpy(out + 16, root.data(), root.size());
}

}  // namespace

VerityBatch::VerityBatch(BlockHasher& hasher, std::size_t buffer_blocks)
    : hasher_(hasher),
      buffer_(std::clamp<std::size_t>(buffer_blocks, 1, kMaxBufferBlocks) * kVerityBlockBytes) {}

std::size_t VerityBatch::begin_file() {
  if (!files_.empty() && !files_.back().is_ended) end_file();
  File file;
  file.slot = next_slot_++;
  files_.push_back(std::move(file));
  results_.resize(next_slot_);
  return next_slot_ - 1;
}

std::span<std::uint8_t> VerityBatch::writable() {
  ASSAY_ASSERT(!files_.empty() && !files_.back().is_ended);
  if (used_ == buffer_.size()) flush();
  return std::span(buffer_).subspan(used_);
}

void VerityBatch::commit(std::size_t bytes) {
  ASSAY_ASSERT(!files_.empty() && bytes <= buffer_.size() - used_);
  if (bytes == 0) return;
  File& file = files_.back();
  const std::size_t index = files_.size() - 1;
  const std::size_t partial = file.size % kVerityBlockBytes;
  const std::size_t before = partial == 0 ? 0 : 1;
  const std::size_t blocks = (partial + bytes + kVerityBlockBytes - 1) / kVerityBlockBytes - before;
  if (runs_.empty() || runs_.back().file != index) {
    runs_.push_back({index, blocks});
  } else {
    runs_.back().blocks += blocks;
  }
  file.size += bytes;
  used_ += bytes;
}

void VerityBatch::append(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto room = writable();
    const std::size_t part = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), part);
    commit(part);
    bytes.remove_prefix(part);
  }
}

void VerityBatch::end_file() {
  ASSAY_ASSERT(!files_.empty() && !files_.back().is_ended);
  const std::size_t partial = used_ % kVerityBlockBytes;
  if (partial != 0) {
    const std::size_t padding = kVerityBlockBytes - partial;
    std::memset(buffer_.data() + used_, 0, padding);
    used_ += padding;
  }
  files_.back().is_ended = true;
  if (files_.back().size == 0) {  // no blocks: nothing to wait for, and there may be millions
    describe(std::span(&files_.back(), 1));
    files_.pop_back();
  }
}

std::vector<FileDigest> VerityBatch::finish() {
  if (!files_.empty() && !files_.back().is_ended) end_file();
  flush();
  next_slot_ = 0;
  return std::exchange(results_, {});
}

// Hashes what the buffer holds and finishes every file that has ended.
void VerityBatch::flush() {
  hash_buffer();
  const bool has_open_file = !files_.empty() && !files_.back().is_ended;
  const std::size_t ended = files_.size() - (has_open_file ? 1 : 0);
  const std::span<File> done(files_.data(), ended);
  climb(done);
  describe(done);
  files_.erase(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(ended));
  if (has_open_file) compact(files_.front());
}

void VerityBatch::hash_buffer() {
  std::vector<DigestBytes> digests(used_ / kVerityBlockBytes);
  hasher_.hash(std::span(buffer_).first(used_), kVerityBlockBytes, digests);
  auto next = digests.begin();
  for (const Run& run : runs_) {
    File& file = files_[run.file];
    if (file.levels.empty()) file.levels.emplace_back();
    const auto end = next + static_cast<std::ptrdiff_t>(run.blocks);
    file.levels[0].insert(file.levels[0].end(), next, end);
    next = end;
  }
  ASSAY_ASSERT(next == digests.end());
  runs_.clear();
  used_ = 0;
}

void VerityBatch::compact(File& file) {
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
void VerityBatch::climb(std::span<File> files) {
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

void VerityBatch::describe(std::span<File> files) {
  std::vector<std::uint8_t> descriptors(files.size() * kDescriptorBytes);
  for (std::size_t i = 0; i < files.size(); ++i) {
    const DigestBytes root = files[i].size == 0 ? DigestBytes{} : files[i].levels.back().front();
    write_descriptor(&descriptors[i * kDescriptorBytes], files[i].size, root);
  }
  std::vector<DigestBytes> digests(files.size());
  hasher_.hash(descriptors, kDescriptorBytes, digests);
  for (std::size_t i = 0; i < files.size(); ++i)
    results_[files[i].slot] = FileDigest{digests[i]};
}

FileDigest verity_digest(std::string_view bytes) {
  const auto hasher = make_openssl_block_hasher();
  VerityBatch batch(*hasher, 64);
  batch.begin_file();
  batch.append(bytes);
  batch.end_file();
  return batch.finish().front();
}

}  // namespace assay::image
