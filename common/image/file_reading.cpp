// SPDX-License-Identifier: Apache-2.0
#include "common/image/file_reading.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace assay::image {
namespace {

// Debian 12's headers are older than the call. Source: include/uapi/linux/mman.h.
constexpr long kCachestat = 451;
struct CachestatRange {
  std::uint64_t offset;
  std::uint64_t bytes;
};
struct Cachestat {
  std::uint64_t cached;
  std::uint64_t dirty;
  std::uint64_t under_writeback;
  std::uint64_t evicted;
  std::uint64_t recently_evicted;
};

enum class Cached { kNothing, kSomething, kUnknown };

Cached ask_cachestat(int fd, std::uint64_t offset, std::size_t bytes) {
  const CachestatRange range{offset, bytes};
  Cachestat found = {};
  if (::syscall(kCachestat, fd, &range, &found, 0) != 0) return Cached::kUnknown;
  return found.cached == 0 ? Cached::kNothing : Cached::kSomething;
}

Result<std::size_t> read_at(int fd, std::uint64_t offset, std::span<std::uint8_t> out) {
  for (;;) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EINTR) return system_error("read");
  }
}

}  // namespace

FileReading::FileReading(int fd, std::uint64_t size, PageCache cache) : fd_(fd), cache_(cache) {
  // Read-ahead would bring in pages beyond the piece that is given back.
  if (cache_ == PageCache::kSpare && size > kSparingBytes)
    (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_RANDOM);
}

Result<std::size_t> FileReading::read(std::span<std::uint8_t> out) {
  ASSAY_ASSIGN(const std::size_t got,
               cache_ == PageCache::kSpare ? read_sparing(out) : read_at(fd_, offset_, out));
  offset_ += got;
  return got;
}

Result<std::size_t> FileReading::read_sparing(std::span<std::uint8_t> out) {
  out = out.first(std::min(out.size(), kSparingBytes));
  const Cached cached = ask_cachestat(fd_, offset_, out.size());
  if (cached == Cached::kSomething) return read_at(fd_, offset_, out);
  if (cached == Cached::kUnknown) {
    const iovec piece{out.data(), out.size()};
    const ssize_t got = ::preadv2(fd_, &piece, 1, static_cast<off_t>(offset_), RWF_NOWAIT);
    if (got >= 0) return static_cast<std::size_t>(got);
    if (errno != EAGAIN) {
      cache_ = PageCache::kKeep;
      return read_at(fd_, offset_, out);
    }
  }
  ASSAY_ASSIGN(const std::size_t got, read_at(fd_, offset_, out));
  if (got > 0)  // 0 would mean: to the end
    (void)::posix_fadvise(fd_, static_cast<off_t>(offset_), static_cast<off_t>(got),
                          POSIX_FADV_DONTNEED);
  return got;
}

}  // namespace assay::image
