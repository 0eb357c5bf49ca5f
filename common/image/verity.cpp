// SPDX-License-Identifier: Apache-2.0
#include "common/image/verity.h"

#include <algorithm>
#include <cstring>

#include "common/base/result.h"
#include "common/image/hash_aside.h"
#include "common/image/verity_forest.h"

namespace assay::image {
namespace {

constexpr std::size_t kMaxBufferBlocks = 8192;

}  // namespace

VerityBatch::VerityBatch(BlockHasher& hasher, std::size_t buffer_blocks, HashThread thread)
    : batch_(std::make_unique<BlockBatch>(
          std::clamp<std::size_t>(buffer_blocks, 1, kMaxBufferBlocks))),
      forest_(std::make_unique<VerityForest>(hasher)) {
  if (thread == HashThread::kOwn) aside_ = std::make_unique<HashAside>(*forest_);
}

VerityBatch::~VerityBatch() = default;

std::size_t VerityBatch::begin_file() {
  if (is_open_) end_file();
  if (batch_->pieces.size() == BlockBatch::kMaxPieces) flush();
  batch_->pieces.push_back({.slot = next_slot_});
  is_open_ = true;
  return next_slot_++;
}

std::size_t VerityBatch::add_known(const FileDigest& digest) {
  if (is_open_) end_file();
  known_.emplace_back(next_slot_, digest);
  return next_slot_++;
}

std::span<std::uint8_t> VerityBatch::writable() {
  ASSAY_ASSERT(is_open_);
  if (batch_->used == batch_->buffer.size()) {
    flush();
    batch_->pieces.push_back({.slot = next_slot_ - 1});
  }
  return std::span(batch_->buffer).subspan(batch_->used);
}

void VerityBatch::commit(std::size_t bytes) {
  ASSAY_ASSERT(is_open_ && bytes <= batch_->buffer.size() - batch_->used);
  BlockBatch::Piece& piece = batch_->pieces.back();
  piece.bytes += bytes;
  piece.blocks = (piece.bytes + kVerityBlockBytes - 1) / kVerityBlockBytes;
  batch_->used += bytes;
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
  ASSAY_ASSERT(is_open_);
  const std::size_t partial = batch_->used % kVerityBlockBytes;
  if (partial != 0) {
    const std::size_t padding = kVerityBlockBytes - partial;
    std::memset(batch_->buffer.data() + batch_->used, 0, padding);
    batch_->used += padding;
  }
  batch_->pieces.back().is_end = true;
  is_open_ = false;
}

std::vector<FileDigest> VerityBatch::finish() {
  if (is_open_) end_file();
  flush();
  if (aside_) aside_->wait();
  auto digests = forest_->finish(std::exchange(next_slot_, 0));
  for (const auto& [slot, digest] : std::exchange(known_, {}))
    digests[slot] = digest;
  return digests;
}

std::chrono::nanoseconds VerityBatch::own_thread_time() {
  return aside_ ? aside_->thread_time() : std::chrono::nanoseconds(0);
}

void VerityBatch::flush() {
  if (batch_->pieces.empty()) return;
  if (aside_) {
    aside_->take(batch_);
  } else {
    forest_->take(*batch_);
  }
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
