// SPDX-License-Identifier: Apache-2.0
// A layer as the tar stream that an image's diff ID is the digest of: from what a runtime's store
// keeps of it.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/image/fingerprint.h"

namespace assay::image {

/// A file of the directory whose bytes are not those that the tar-split was made with.
struct StreamProblem {
  std::string path;       ///< raw
  std::string_view what;  ///< missing, type, size, content
};

struct LayerStream {
  DiffId diff_id;                       ///< of the stream as it came
  std::uint64_t bytes = 0;              ///< its length
  LayerFingerprint layer;               ///< of the stream's entries
  std::vector<StreamProblem> problems;  ///< of a tar-split, the first ones
  std::uint64_t problem_count = 0;
};

/// Reads the stream that `tar_split` (JSON lines, compressed or not) gives with the files below
/// `layer_fd`, a directory. No byte of a file counts that lies in the tar-split itself.
///
/// Never holds more than a line and a block of a file in memory, beside what a fingerprint needs.
/// Thread-safe for different descriptors. Blocks on disk; checks `stop` between reads.
/// Errors: kCorrupt (it breaks its format, or carries bytes of files), kUnsupported (sparse files,
/// a file behind a symbolic link, a mount in the layer, compression), kLimitExceeded, kCancelled,
/// kUnavailable, kPermissionDenied.
/// Source: vbatts/tar-split tar/asm/assemble.go, tar/storage/entry.go; OCI image-spec v1.1
/// config.md "Layer DiffID".
Result<LayerStream> read_tar_split(UniqueFd tar_split, int layer_fd,
                                   const FingerprintLimits& limits, LayerObserver* observer,
                                   const std::stop_token& stop);

/// The same of a layer's blob: the tar itself, plain, gzip or zstd.
Result<LayerStream> read_layer_blob(UniqueFd blob, const FingerprintLimits& limits,
                                    LayerObserver* observer, const std::stop_token& stop);

}  // namespace assay::image
