// SPDX-License-Identifier: Apache-2.0
// Writes a recording (docs/formats/recording.md).
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "agent/recording/recording.h"
#include "common/base/bounded_queue.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Entries are queued and written by a thread of its own, so that nobody waits for a disk; a full
/// queue drops and counts. Thread-safe.
class RecordingWriter {
 public:
  /// Makes the file, mode 0600; one that is there already is left alone.
  /// `max_bytes`: no entry is written beyond it.
  /// Errors: kAlreadyExists, kPermissionDenied, kUnavailable.
  static Result<std::unique_ptr<RecordingWriter>> create(const std::string& path,
                                                         const RecordingHeader& header,
                                                         std::uint64_t max_bytes);
  ~RecordingWriter();

  void write(BootTime time, decltype(RecordingEntry::body) body);
  /// Whether nothing more will be written: the limit is reached, or the disk refuses.
  bool is_full() const { return is_full_; }
  /// Writes all that is queued and the last entry, and flushes to the disk. Once.
  /// Errors: kUnavailable (something could not be written).
  Result<void> close(BootTime time, const std::string& reason);
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t dropped() const { return dropped_; }

 private:
  RecordingWriter(std::string path, UniqueFd fd, std::uint64_t max_bytes);
  void run(const std::stop_token& stop);
  Result<void> append(std::string_view frame);
  Result<void> put(std::string_view bytes);

  const std::string path_;
  const UniqueFd fd_;
  const std::uint64_t max_bytes_;
  BoundedQueue<std::string> frames_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<bool> is_full_{false};
  Mutex mutex_;
  std::optional<Error> error_ ASSAY_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace assay::agent
