// SPDX-License-Identifier: Apache-2.0
// Reading the bytes of an open file from its start to its end. Private to common/image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "common/base/result.h"

namespace assay::image {

/// What happens to the pages that reading brings into the page cache.
enum class PageCache {
  kKeep,
  /// They are given back at once, a piece (kSparingBytes) of which nothing was there before at a
  /// time; what others had there stays. Needs a file system that tells (cachestat(2), Linux 6.5, or
  /// RWF_NOWAIT of preadv2(2)); on others they are kept.
  kSpare,
};
inline constexpr std::size_t kSparingBytes = 256U << 10;

/// Not thread-safe. Does not own `fd`.
class FileReading {
 public:
  /// `size`: of the file, as far as it is known.
  FileReading(int fd, std::uint64_t size, PageCache cache);
  /// The next bytes, 0 at the end. Errors: kUnavailable (EIO), kPermissionDenied.
  Result<std::size_t> read(std::span<std::uint8_t> out);

 private:
  Result<std::size_t> read_sparing(std::span<std::uint8_t> out);

  int fd_;
  PageCache cache_;
  std::uint64_t offset_ = 0;
};

}  // namespace assay::image
