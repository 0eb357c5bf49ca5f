// SPDX-License-Identifier: Apache-2.0
// The digests of a layer's files: each inode once, many at a time. Private to common/image.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <utility>
#include <vector>

#include "common/base/result.h"
#include "common/image/file_reading.h"
#include "common/image/verity.h"

namespace assay::image {

/// Not thread-safe.
class FileDigester {
 public:
  struct Options {
    std::uint64_t max_bytes = 0;  ///< of all files together
    HashThread thread = HashThread::kCaller;
    PageCache page_cache = PageCache::kKeep;
    /// After each read, with its bytes; may be empty.
    std::function<void(std::uint64_t)> on_bytes;
  };
  /// `root_fd`: the layer's directory, for its file system.
  FileDigester(int root_fd, Options options, std::stop_token stop);

  /// The slot of an open file, of which `before` was said right before it was opened: an element
  /// of finish(). Nothing when it changed while it was read; then its slot has no meaning.
  /// Errors: kLimitExceeded, kCancelled, kUnavailable (EIO).
  Result<std::optional<std::size_t>> add(int fd, const struct statx& before);
  std::vector<FileDigest> finish() { return batch_.finish(); }
  /// CPU time of the hashing thread, where there is one.
  std::chrono::nanoseconds own_thread_time() { return batch_.own_thread_time(); }

 private:
  Result<std::size_t> digest(int fd, const struct statx& status);
  Result<std::size_t> hash(int fd, std::uint64_t size);

  const Options options_;
  const std::stop_token stop_;
  const bool has_kernel_verity_;
  std::unique_ptr<BlockHasher> hasher_ = make_block_hasher();
  VerityBatch batch_;
  std::uint64_t bytes_ = 0;
  // Hard links are read once: (device, inode) → slot of the first path.
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::size_t> seen_;
};

/// Whether a file is, by all that stat says, the one that it was.
bool is_same_state(const struct statx& a, const struct statx& b);

}  // namespace assay::image
