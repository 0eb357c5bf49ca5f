// SPDX-License-Identifier: Apache-2.0
// Streams of bytes, one stacked on another: a file, what decompresses it, what hashes it. Private
// to common/image.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string_view>

#include "common/base/result.h"
#include "common/base/sha256.h"
#include "common/base/unique_fd.h"

namespace assay::image {

/// Not thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Fills `out` with at least one byte, or returns 0 at the end.
  virtual Result<std::size_t> read(std::span<char> out) = 0;
  /// Passes over `bytes` bytes. Errors: kCorrupt (it ends before).
  virtual Result<void> skip(std::uint64_t bytes);
};

/// Reads until `out` is full or the source ends; returns how many bytes there were.
Result<std::size_t> read_fully(ByteSource& source, std::span<char> out);
/// Reads to the end and forgets the bytes.
Result<void> drain(ByteSource& source);

/// A file descriptor; seeks over what is skipped where it can. Checks `stop` at every read.
class FdSource final : public ByteSource {
 public:
  FdSource(UniqueFd fd, std::stop_token stop, std::function<void(std::uint64_t)> progress);
  Result<std::size_t> read(std::span<char> out) override;
  Result<void> skip(std::uint64_t bytes) override;

 private:
  UniqueFd fd_;
  std::stop_token stop_;
  std::function<void(std::uint64_t)> progress_;
  std::uint64_t size_ = 0;  // of a regular file, which can be seeked
  std::uint64_t position_ = 0;
  std::uint64_t reported_ = 0;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : bytes_(bytes) {}
  Result<std::size_t> read(std::span<char> out) override;

 private:
  std::string_view bytes_;
};

/// Passes bytes through and hashes them.
class HashingSource final : public ByteSource {
 public:
  explicit HashingSource(ByteSource& below) : below_(below) {}
  Result<std::size_t> read(std::span<char> out) override;
  std::uint64_t bytes() const { return bytes_; }
  Sha256 digest() { return hasher_.finish(); }

 private:
  ByteSource& below_;
  Sha256Hasher hasher_;
  std::uint64_t bytes_ = 0;
};

/// Passes bytes through until a budget that several sources share is used up: kLimitExceeded.
class LimitedSource final : public ByteSource {
 public:
  /// `limit`: what the budget was at its start.
  LimitedSource(ByteSource& below, std::uint64_t& bytes_left, std::uint64_t limit)
      : below_(below), bytes_left_(bytes_left), limit_(limit) {}
  Result<std::size_t> read(std::span<char> out) override;
  Result<void> skip(std::uint64_t bytes) override;

 private:
  Error too_much() const;

  ByteSource& below_;
  std::uint64_t& bytes_left_;
  std::uint64_t limit_;
};

/// Looks at the first bytes of `below` and returns what decompresses it: gzip, zstd, or nothing to
/// do. `below` must outlive the result.
/// Errors: kUnsupported (another compression), kCorrupt while reading (bad or truncated stream).
Result<std::unique_ptr<ByteSource>> decompress(ByteSource& below);

}  // namespace assay::image
