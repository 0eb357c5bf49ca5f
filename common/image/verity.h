// SPDX-License-Identifier: Apache-2.0
// fs-verity file digests (SHA-256, 4 KiB blocks, no salt), computed many blocks at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/digest.h"

namespace assay::image {

inline constexpr std::size_t kVerityBlockBytes = 4096;

/// SHA-256 of many messages of one length at a time. Not thread-safe; one per thread.
class BlockHasher {
 public:
  virtual ~BlockHasher() = default;
  /// Digests of `out.size()` messages of `message_bytes` (1 to 65,535) each, one behind the other
  /// in `messages`.
  virtual void hash(std::span<const std::uint8_t> messages, std::size_t message_bytes,
                    std::span<DigestBytes> out) = 0;
  /// "ipsec-mb" or "openssl", for benchmarks and health.
  virtual std::string_view name() const = 0;
};

/// The portable one: OpenSSL, one message after the other.
std::unique_ptr<BlockHasher> make_openssl_block_hasher();
/// libipsec-mb's multi-buffer SHA-256; nothing when it was not built in or cannot start here.
std::unique_ptr<BlockHasher> make_ipsec_mb_block_hasher();
/// The fastest that is there.
std::unique_ptr<BlockHasher> make_block_hasher();

/// Which thread hashes what a batch has gathered.
enum class HashThread {
  kCaller,
  /// One of the batch's own, from the first full buffer on: the caller reads on meanwhile. It has
  /// the scheduling policy and the I/O class of the caller (pthreads(7), ioprio_set(2)).
  kOwn,
};

struct BlockBatch;
class VerityForest;
class HashAside;

/// Computes the digests of many files, given one after the other in pieces of any size, so that
/// small files share a batch. Memory: `buffer_blocks` blocks (twice with a thread of its own), at
/// most the same again for upper tree levels, and 32 bytes a file. Not thread-safe.
/// Source: Linux Documentation/filesystems/fsverity.rst, "Merkle tree" and "fs-verity descriptor".
class VerityBatch {
 public:
  /// `hasher` must outlive this object; `buffer_blocks` 1 to 8,192 (32 MiB). The default keeps the
  /// buffer in the second-level cache and still fills 16 lanes eight times.
  explicit VerityBatch(BlockHasher& hasher, std::size_t buffer_blocks = 128,
                       HashThread thread = HashThread::kCaller);
  ~VerityBatch();

  /// Begins a file and returns its slot, an index into the result of finish(). A file that was not
  /// ended is abandoned by beginning the next one; its slot then holds no meaning.
  std::size_t begin_file();
  /// A file whose digest is known already, and its slot.
  std::size_t add_known(const FileDigest& digest);
  /// Where the next bytes of the file may be put; never empty. Valid until the next call.
  std::span<std::uint8_t> writable();
  /// Says that `bytes` bytes were put there.
  void commit(std::size_t bytes);
  /// Copies `bytes` in; for callers that have them elsewhere.
  void append(std::string_view bytes);
  void end_file();
  /// The digests of all files, by slot. The object can be used again afterwards, from slot 0.
  std::vector<FileDigest> finish();
  /// CPU time of the thread of its own so far.
  std::chrono::nanoseconds own_thread_time();

 private:
  void flush();

  std::unique_ptr<BlockBatch> batch_;
  std::unique_ptr<VerityForest> forest_;
  std::unique_ptr<HashAside> aside_;  // with a thread of its own; joined before the forest goes
  std::size_t next_slot_ = 0;
  bool is_open_ = false;  // the last file
  std::vector<std::pair<std::size_t, FileDigest>> known_;
};

/// The digest of one file given whole.
FileDigest verity_digest(std::string_view bytes);

}  // namespace assay::image
