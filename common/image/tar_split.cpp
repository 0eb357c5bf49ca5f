// SPDX-License-Identifier: Apache-2.0
#include "common/image/tar_split.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/base/encoding.h"
#include "common/image/tar_reader.h"

namespace assay::image {

Result<std::size_t> TarSplitSource::read(std::span<char> out) {
  for (;;) {
    if (stop_.stop_requested()) return Error{ErrorCode::kCancelled, "stopped"};
    if (segment_used_ < line_.segment.size()) return read_segment(out);
    if (payload_left_ > 0) return read_payload(out);
    ASSAY_ASSIGN(const bool has_line, lines_.next(line_));
    if (!has_line) {
      line_ = {};
      segment_used_ = 0;
      return std::size_t{0};
    }
    segment_used_ = 0;
    if (line_.is_file && line_.size > 0) ASSAY_TRY(begin_payload());
  }
}

void TarSplitSource::begin_file(const std::string& path, std::uint64_t size) {
  file_path_ = path;
  file_left_ = size;
}

Result<std::size_t> TarSplitSource::read_segment(std::span<char> out) {
  if (file_left_ > 0)
    return Error{ErrorCode::kCorrupt, "tar-split: it holds bytes of the file \"" +
                                          escape_untrusted(file_path_) + "\" itself"};
  const std::size_t part = std::min(out.size(), line_.segment.size() - segment_used_);
  std::memcpy(out.data(), line_.segment.data() + segment_used_, part);
  segment_used_ += part;
  return part;
}

Result<void> TarSplitSource::begin_payload() {
  const std::string name = "\"" + escape_untrusted(line_.name) + "\"";
  if (file_left_ != line_.size)
    return Error{ErrorCode::kUnsupported, "tar-split: the payload of " + name +
                                              " is not one whole file of the tar (a sparse one?)"};
  ASSAY_ASSIGN(const std::string path, normalize_member_name(line_.name));
  if (path != file_path_)
    return Error{ErrorCode::kCorrupt, "tar-split: the payload of " + name +
                                          " stands where the tar has the file \"" +
                                          escape_untrusted(file_path_) + "\""};
  payload_left_ = line_.size;
  crc_ = {};
  is_complained_ = false;
  return open_payload();
}

/// What is not there, or is another thing, is no error but a difference.
Result<void> TarSplitSource::open_payload() {
  payload_.reset();
  auto found = open_beneath(layer_fd_, file_path_.c_str(), O_PATH | O_NOFOLLOW);
  if (!found) {
    const int code = found.error().sys_errno;
    if (code == ELOOP)
      return Error{ErrorCode::kUnsupported, "tar-split: \"" + escape_untrusted(file_path_) +
                                                "\" lies behind a symbolic link"};
    if (code != ENOENT && code != ENOTDIR) return std::move(found.error());
    complain("missing");
    return ok();
  }
  struct statx status = {};
  ASSAY_TRY(stat_at(found->get(), "", status));
  if (!S_ISREG(status.stx_mode)) {
    complain("type");
    return ok();
  }
  if (status.stx_size != line_.size) {
    complain("size");
    return ok();
  }
  ASSAY_ASSIGN(payload_, opener_.reopen(found->get()));
  return ok();
}

Result<std::size_t> TarSplitSource::read_payload(std::span<char> out) {
  const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), payload_left_));
  std::size_t got = 0;
  while (payload_ && got == 0) {
    const ssize_t count = ::read(payload_.get(), out.data(), part);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error("read \"" + escape_untrusted(file_path_) + "\"");
    if (count == 0) {  // it became shorter
      complain("size");
      payload_.reset();
    }
    got = static_cast<std::size_t>(count);
  }
  if (got == 0) std::memset(out.data(), 0, got = part);
  crc_.update(out.first(got));
  payload_left_ -= got;
  file_left_ -= got;
  if (payload_left_ == 0) {
    payload_.reset();
    if (crc_.value() != line_.crc64) complain("content");
  }
  return got;
}

void TarSplitSource::complain(std::string_view what) {
  if (std::exchange(is_complained_, true)) return;
  ++problem_count_;
  if (problems_.size() < kMaxPayloadProblems) problems_.push_back({file_path_, what});
}

}  // namespace assay::image
