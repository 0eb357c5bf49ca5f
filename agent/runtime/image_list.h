// SPDX-License-Identifier: Apache-2.0
// images.json of containers/storage, and the manifest and configuration beside it. Private to
// agent/runtime.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/runtime/store_folder.h"
#include "common/base/digest.h"

namespace assay::agent {

/// An entry of images.json.
struct ListedImage {
  std::string id;      ///< of its configuration, for images with plain layers
  std::string digest;  ///< of the manifest that is kept
  std::string top_layer;
  std::vector<std::string> mapped_layers;
  std::vector<std::string> names;
};
/// Nothing when the file does not name the image, or is no such file within limits.
/// Source: containers/storage images.go, type Image.
std::optional<ListedImage> find_listed_image(int fd, const std::string& image_id);

struct ImageFiles {
  std::optional<ManifestDigest> manifest_digest;  ///< its bytes were checked, and it is no index
  std::optional<ConfigDigest> config_digest;      ///< its bytes were checked
  std::optional<std::vector<DiffId>> diff_ids;
  std::string problem;  ///< what disagrees, "" when nothing does
};
/// Reads the files of `image` in `folder`, e.g. "overlay-images/ID".
/// Source: containers/storage store.go makeBigDataBaseName; containers/image storage_dest.go.
ImageFiles read_image_files(StoreFolder& root, const std::string& folder, const ListedImage& image);

}  // namespace assay::agent
