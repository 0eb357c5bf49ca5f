// SPDX-License-Identifier: Apache-2.0
// The tar that a layer was unpacked from, put together again from its tar-split and from the files
// of its directory. Private to common/image.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/image/byte_source.h"
#include "common/image/crc64.h"
#include "common/image/safe_open.h"
#include "common/image/tar_layer.h"
#include "common/image/tar_split_lines.h"

namespace assay::image {

/// A file that is not what the tar-split says it was.
struct PayloadProblem {
  std::string path;
  std::string_view what;  ///< missing, type, size, content
};
inline constexpr std::size_t kMaxPayloadProblems = 64;

/// Bytes of files come from files alone: the reader of the tar announces each file (PayloadGuard),
/// and then only the payload of that very file will do; anywhere else only segments will. A file
/// that is missing or of another size is told and read as zeros, so that the rest can be compared.
/// Not thread-safe. Checks `stop` at every read.
class TarSplitSource final : public ByteSource, public PayloadGuard {
 public:
  /// `lines` and `opener` must outlive it, and so must `layer_fd`, the layer's directory.
  TarSplitSource(TarSplitLines& lines, const FileOpener& opener, int layer_fd, std::stop_token stop)
      : lines_(lines), opener_(opener), layer_fd_(layer_fd), stop_(std::move(stop)) {}

  /// Errors: kCorrupt (a segment holds bytes of a file, or a payload is another file's),
  /// kUnsupported (a payload where no file is: sparse files, links among the parents), the lines'.
  Result<std::size_t> read(std::span<char> out) override;
  void begin_file(const std::string& path, std::uint64_t size) override;

  const std::vector<PayloadProblem>& problems() const { return problems_; }
  std::uint64_t problem_count() const { return problem_count_; }

 private:
  Result<std::size_t> read_segment(std::span<char> out);
  Result<std::size_t> read_payload(std::span<char> out);
  Result<void> begin_payload();
  Result<void> open_payload();
  void complain(std::string_view what);

  TarSplitLines& lines_;
  const FileOpener& opener_;
  const int layer_fd_;
  const std::stop_token stop_;
  TarSplitLine line_;
  std::size_t segment_used_ = 0;
  std::string file_path_;           // as the tar's reader announced it
  std::uint64_t file_left_ = 0;     // bytes of it that are still to come
  std::uint64_t payload_left_ = 0;  // of the file in line_
  UniqueFd payload_;                // empty: zeros
  Crc64 crc_;
  bool is_complained_ = false;  // of the payload at hand
  std::vector<PayloadProblem> problems_;
  std::uint64_t problem_count_ = 0;
};

}  // namespace assay::image
