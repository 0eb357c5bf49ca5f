// SPDX-License-Identifier: Apache-2.0
// `assay fingerprint A --diff B`: which paths make two images differ.
#pragma once

#include <cstdint>
#include <string>

#include "cli/session.h"
#include "common/image/image.h"

namespace assay::cli {

struct DiffOptions {
  std::string before;
  std::string after;
  image::ImageOptions reading;    ///< of both; its observers and progress are not used
  std::uint64_t max_paths = 100;  ///< shown of one layer; 0: all
};

/// Pairs the layers from the bottom up and compares each pair path by path. Reads both images once
/// for their digests, and the layers that differ once more, one pair at a time: the records of one
/// layer are in memory, and the paths that are shown.
/// The exit code is kNegative when they differ. Errors: read_image()'s; kCorrupt when a source
/// changed between the two readings.
Result<Outcome> diff_images(const DiffOptions& options, Session& session);

}  // namespace assay::cli
