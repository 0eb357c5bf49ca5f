// SPDX-License-Identifier: Apache-2.0
// The lines of a tar-split: what of a tar lies in it and what in files. Private to common/image.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/image/byte_source.h"

namespace assay::image {

struct TarSplitLimits {
  /// An extended header of each kind fits in: 1 MiB each, in base64.
  std::size_t max_line_bytes = 6U << 20;
  std::uint64_t max_lines = 16'000'000;  ///< two or three for each path
  std::size_t max_name_bytes = 4096;     ///< PATH_MAX
};

struct TarSplitLine {
  bool is_file = false;
  std::string segment;  ///< bytes of the tar as they are; not of files
  std::string name;     ///< of files: the member's raw name
  std::uint64_t size = 0;
  std::uint64_t crc64 = 0;  ///< of files that are not empty
};

/// JSON lines, one object each. Not thread-safe.
/// Source: vbatts/tar-split tar/storage/entry.go, packer.go.
class TarSplitLines {
 public:
  /// `source`: decompressed; must outlive the reader.
  explicit TarSplitLines(ByteSource& source, TarSplitLimits limits = {})
      : source_(source), limits_(limits), buffer_(1U << 16) {}

  /// False at the end. Errors: kCorrupt (no such line, positions that do not count from 0 up),
  /// kLimitExceeded, the source's.
  Result<bool> next(TarSplitLine& line);

 private:
  Result<bool> read_line();

  ByteSource& source_;
  const TarSplitLimits limits_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;  // of what was read and not handed out
  std::size_t end_ = 0;
  std::string text_;
  std::uint64_t lines_ = 0;
};

}  // namespace assay::image
