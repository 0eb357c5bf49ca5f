// SPDX-License-Identifier: Apache-2.0
// An image with everything that its layers hold but content, for comparing it with bases.
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"
#include "common/catalog/file_set.h"
#include "common/image/image.h"
#include "common/image/root_form.h"

namespace assay::cli {

/// About 300 bytes an entry of all layers.
struct LayeredImage {
  image::Image image;
  std::vector<image::LayerTree> trees;     ///< of the layers that were read
  std::vector<std::size_t> tree_of_layer;  ///< index into `trees`: equal layers share one

  /// Of the layers from `first` on, put together. Errors: kLimitExceeded.
  Result<catalog::FileSet> file_set(std::size_t first) const;
};

/// Reads `source` with its progress on the terminal; `options.observer_of` is taken for it.
/// Errors: read_image()'s; kInvalidArgument (no layers).
Result<LayeredImage> read_layers(const std::string& source, image::ImageOptions options,
                                 Session& session);

}  // namespace assay::cli
