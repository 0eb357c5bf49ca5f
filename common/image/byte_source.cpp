// SPDX-License-Identifier: Apache-2.0
#include "common/image/byte_source.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace assay::image {
namespace {

constexpr std::size_t kScratchBytes = 1U << 16;
constexpr std::uint64_t kProgressBytes = 8ULL << 20;

}  // namespace

Result<void> ByteSource::skip(std::uint64_t bytes) {
  std::array<char, kScratchBytes> scratch;
  while (bytes > 0) {
    const std::size_t want =
        static_cast<std::size_t>(std::min<std::uint64_t>(bytes, scratch.size()));
    ASSAY_ASSIGN(const std::size_t got, read(std::span(scratch).first(want)));
    if (got == 0) return Error{ErrorCode::kCorrupt, "truncated"};
    bytes -= got;
  }
  return ok();
}

Result<std::size_t> read_fully(ByteSource& source, std::span<char> out) {
  std::size_t filled = 0;
  while (filled < out.size()) {
    ASSAY_ASSIGN(const std::size_t got, source.read(out.subspan(filled)));
    if (got == 0) break;
    filled += got;
  }
  return filled;
}

Result<void> drain(ByteSource& source) {
  std::array<char, kScratchBytes> scratch;
  for (;;) {
    ASSAY_ASSIGN(const std::size_t got, source.read(scratch));
    if (got == 0) return ok();
  }
}

FdSource::FdSource(UniqueFd fd, std::stop_token stop, std::function<void(std::uint64_t)> progress)
    : fd_(std::move(fd)), stop_(std::move(stop)), progress_(std::move(progress)) {
  struct stat status = {};
  if (::fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode))
    size_ = static_cast<std::uint64_t>(status.st_size);
}

Result<std::size_t> FdSource::read(std::span<char> out) {
  for (;;) {
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    const ssize_t got = ::read(fd_.get(), out.data(), out.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error("read");
    position_ += static_cast<std::uint64_t>(got);
    if (progress_ && position_ - reported_ >= kProgressBytes) {
      reported_ = position_;
      progress_(position_);
    }
    return static_cast<std::size_t>(got);
  }
}

Result<void> FdSource::skip(std::uint64_t bytes) {
  if (size_ == 0) return ByteSource::skip(bytes);
  if (position_ > size_ || bytes > size_ - position_)
    return Error{ErrorCode::kCorrupt, "truncated"};
  if (::lseek(fd_.get(), static_cast<off_t>(bytes), SEEK_CUR) < 0) return system_error("seek");
  position_ += bytes;
  return ok();
}

Result<std::size_t> MemorySource::read(std::span<char> out) {
  const std::size_t part = std::min(out.size(), bytes_.size());
  std::copy_n(bytes_.begin(), part, out.begin());
  bytes_.remove_prefix(part);
  return part;
}

Result<std::size_t> HashingSource::read(std::span<char> out) {
  ASSAY_ASSIGN(const std::size_t got, below_.read(out));
  hasher_.update({out.data(), got});
  bytes_ += got;
  return got;
}

Error LimitedSource::too_much() const {
  return {ErrorCode::kLimitExceeded, "holds more than " + std::to_string(limit_) +
                                         " bytes when decompressed, the limit for one image"};
}

Result<std::size_t> LimitedSource::read(std::span<char> out) {
  ASSAY_ASSIGN(const std::size_t got, below_.read(out));
  if (got > bytes_left_) return too_much();
  bytes_left_ -= got;
  return got;
}

Result<void> LimitedSource::skip(std::uint64_t bytes) {
  if (bytes > bytes_left_) return too_much();
  bytes_left_ -= bytes;
  return below_.skip(bytes);
}

}  // namespace assay::image
