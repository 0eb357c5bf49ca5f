// SPDX-License-Identifier: Apache-2.0
// Reads one of the kernel's ring buffers, and gives its room free only when told to: what was read
// and not stored yet is still there for the next agent.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "common/base/mutex.h"
#include "common/base/result.h"

namespace assay::agent {

/// Positions count bytes since the ring buffer was made. read() and position() belong to one
/// thread; release() and the figures are thread-safe.
/// Source: kernel/bpf/ringbuf.c (mmap layout, busy and discard bits), Linux 5.8 to 6.18.
class RingReader {
 public:
  /// Maps the ring buffer `fd` of `size` bytes. Reading begins at the first record that nobody gave
  /// free. Errors: kPermissionDenied, kUnavailable.
  static Result<RingReader> open(int fd, std::uint32_t size);
  RingReader(RingReader&& other) noexcept;
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;
  RingReader& operator=(RingReader&&) = delete;
  ~RingReader();

  /// Called with each record; `bytes` lives until it returns.
  using Sink = std::function<void(std::string_view bytes)>;
  /// Delivers the records that are complete, in their order, at most up to where the kernel was
  /// when it was called.
  void read(const Sink& sink) { read(sink, written()); }
  /// The same, at most up to `end`.
  void read(const Sink& sink, std::uint64_t end);
  /// Where the kernel is: behind the last record that was begun.
  std::uint64_t written() const;
  /// Behind the last record that was delivered.
  std::uint64_t position() const { return position_; }

  /// Gives the room before `position` free. Going back does nothing.
  void release(std::uint64_t position);
  std::uint64_t released() const;
  std::uint32_t size() const { return size_; }

 private:
  RingReader(unsigned long* consumer, const char* producer, std::uint32_t size);

  unsigned long* consumer_ = nullptr;  ///< page shared with the kernel: our position
  const char* producer_ = nullptr;  ///< read-only pages: the kernel's position, then the data twice
  std::uint32_t size_ = 0;
  std::uint64_t position_ = 0;
  Mutex release_mutex_;
};

}  // namespace assay::agent
