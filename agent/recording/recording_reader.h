// SPDX-License-Identifier: Apache-2.0
// Reads a recording, which may be anybody's bytes.
#pragma once

#include <istream>
#include <optional>
#include <string>

#include "agent/recording/recording.h"

namespace assay::agent {

/// Streams; holds one frame at a time. Not thread-safe.
class RecordingReader {
 public:
  /// Reads what stands before the first entry. `in` outlives the reader.
  /// Errors: kCorrupt (no recording), kUnsupported (a later version), kLimitExceeded.
  static Result<RecordingReader> open(std::istream& in);

  const RecordingHeader& header() const { return header_; }
  /// The next entry; nothing at the end. Entries of a later version's kinds are passed over.
  /// Errors: kCorrupt, kLimitExceeded.
  Result<std::optional<RecordingEntry>> next();
  /// To the first entry again. Errors: kUnavailable.
  Result<void> rewind();
  /// Whether it ended in the middle of a frame: the recorder was killed.
  bool is_cut() const { return is_cut_; }

 private:
  explicit RecordingReader(std::istream& in) : in_(&in) {}
  /// Nothing at the end.
  Result<std::optional<std::string>> read_frame();
  bool read_bytes(std::string& bytes, std::size_t size);

  std::istream* in_;
  RecordingHeader header_;
  std::uint64_t bytes_ = 0;
  std::uint64_t first_entry_ = 0;
  bool is_cut_ = false;
};

}  // namespace assay::agent
