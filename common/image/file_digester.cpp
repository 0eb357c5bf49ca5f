// SPDX-License-Identifier: Apache-2.0
#include "common/image/file_digester.h"

#include <algorithm>

#include "common/image/kernel_verity.h"
#include "common/image/safe_open.h"

namespace assay::image {
namespace {

constexpr std::size_t kBufferBlocks = 128;

bool is_same_time(const struct statx_timestamp& a, const struct statx_timestamp& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

bool is_same_state(const struct statx& a, const struct statx& b) {
  return a.stx_ino == b.stx_ino && a.stx_size == b.stx_size && a.stx_mode == b.stx_mode &&
         is_same_time(a.stx_mtime, b.stx_mtime) && is_same_time(a.stx_ctime, b.stx_ctime);
}

FileDigester::FileDigester(int root_fd, Options options, std::stop_token stop)
    : options_(std::move(options)),
      stop_(std::move(stop)),
      has_kernel_verity_(image::has_kernel_verity(root_fd)),
      batch_(*hasher_, kBufferBlocks, options_.thread) {}

Result<std::optional<std::size_t>> FileDigester::add(int fd, const struct statx& before) {
  const auto inode =
      std::pair((static_cast<std::uint64_t>(before.stx_dev_major) << 32) | before.stx_dev_minor,
                before.stx_ino);
  const auto known = before.stx_nlink > 1 ? seen_.find(inode) : seen_.end();
  if (known != seen_.end()) return std::optional(known->second);
  if (before.stx_size > options_.max_bytes - bytes_)
    return Error{ErrorCode::kLimitExceeded,
                 "files hold more than " + std::to_string(options_.max_bytes) + " bytes"};
  ASSAY_ASSIGN(const std::size_t slot, digest(fd, before));
  struct statx after = {};
  ASSAY_TRY(stat_at(fd, "", after));
  if (!is_same_state(before, after)) return std::optional<std::size_t>();
  bytes_ += before.stx_size;
  if (before.stx_nlink > 1) seen_.emplace(inode, slot);
  return std::optional(slot);
}

Result<std::size_t> FileDigester::digest(int fd, const struct statx& status) {
  if (has_kernel_verity_)
    if (const auto digest = kernel_verity_digest(fd, status)) return batch_.add_known(*digest);
  return hash(fd, status.stx_size);
}

// Reads exactly `size` bytes; a file that ends early has changed, which the caller's stat shows.
Result<std::size_t> FileDigester::hash(int fd, std::uint64_t size) {
  const std::size_t slot = batch_.begin_file();
  FileReading reading(fd, size, options_.page_cache);
  for (std::uint64_t left = size; left > 0;) {
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    const auto room = batch_.writable();
    const std::size_t want = static_cast<std::size_t>(std::min<std::uint64_t>(left, room.size()));
    ASSAY_ASSIGN(const std::size_t got, reading.read(room.first(want)));
    if (got == 0) break;
    batch_.commit(got);
    if (options_.on_bytes) options_.on_bytes(got);
    left -= got;
  }
  batch_.end_file();
  return slot;
}

}  // namespace assay::image
