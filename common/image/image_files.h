// SPDX-License-Identifier: Apache-2.0
// The named files of an image: those of a layout folder, or the members of an archive that is read
// as a stream, never unpacked. Private to common/image.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <stop_token>
#include <string>

#include "common/image/byte_source.h"

namespace assay::image {

struct ReadSettings {
  std::uint64_t max_image_bytes = 0;
  std::function<void(std::uint64_t)> progress;
  std::stop_token stop;
};

/// Not thread-safe.
class ImageFiles {
 public:
  using Visitor = std::function<Result<void>(const std::string& name, ByteSource& bytes)>;

  virtual ~ImageFiles() = default;
  virtual bool has(const std::string& name) const = 0;
  /// A small file (JSON, at most 4 MiB). Errors: kNotFound, kLimitExceeded, kCorrupt.
  virtual Result<std::string> small(const std::string& name) = 0;
  /// The name of the file that `name` stands for: archives hold links. Errors: kNotFound, kCorrupt.
  virtual Result<std::string> resolve(const std::string& name) = 0;
  /// What visit() of `names` counts its progress up to, in bytes.
  virtual std::uint64_t total_bytes(const std::set<std::string>& names) const = 0;
  /// Calls `visitor` once for each of `names` (resolved ones), in the order in which they lie.
  /// Errors: kNotFound, the visitor's.
  virtual Result<void> visit(const std::set<std::string>& names, const Visitor& visitor) = 0;
};

/// The folder behind `fd`.
std::unique_ptr<ImageFiles> open_layout_folder(UniqueFd fd, ReadSettings settings);
/// The tar `path`, plain, gzip or zstd. Reads it through once, for names and JSON.
Result<std::unique_ptr<ImageFiles>> open_archive(const std::string& path, ReadSettings settings);

}  // namespace assay::image
