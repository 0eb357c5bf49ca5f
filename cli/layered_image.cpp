// SPDX-License-Identifier: Apache-2.0
#include "cli/layered_image.h"

#include <algorithm>
#include <map>

#include "cli/image_reading.h"
#include "common/files/file_set_maker.h"

namespace assay::cli {

Result<catalog::FileSet> LayeredImage::file_set(std::size_t first) const {
  image::MergedTree merged;
  for (std::size_t layer = first; layer < tree_of_layer.size(); ++layer)
    merged.add(trees[tree_of_layer[layer]]);
  files::FileSetMaker maker;
  merged.show([&](const image::Entry& entry) { maker.add(entry); });
  return std::move(maker).finish();
}

Result<LayeredImage> read_layers(const std::string& source, image::ImageOptions options,
                                 Session& session) {
  std::map<std::size_t, image::LayerTreeKeeper> keepers;  // by layer, of those that are read
  options.observer_of = [&](std::size_t layer) -> image::LayerObserver* {
    return &keepers.try_emplace(layer, nullptr).first->second;
  };
  LayeredImage layered;
  ASSAY_ASSIGN(layered.image, read_shown(source, std::move(options), session));
  const auto& layers = layered.image.layers;
  if (layers.empty())
    return Error{ErrorCode::kInvalidArgument, source + ": this image has no layers"};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (const auto keeper = keepers.find(i); keeper != keepers.end()) {
      layered.tree_of_layer.push_back(layered.trees.size());
      layered.trees.push_back(std::move(keeper->second.tree()));
      continue;
    }
    const auto same =
        std::find_if(layers.begin(), layers.begin() + static_cast<std::ptrdiff_t>(i),
                     [&](const auto& one) { return one.diff_id == layers[i].diff_id; });
    if (same == layers.begin() + static_cast<std::ptrdiff_t>(i))
      return Error{ErrorCode::kInternal, source + ": a layer was not read"};
    layered.tree_of_layer.push_back(
        layered.tree_of_layer[static_cast<std::size_t>(same - layers.begin())]);
  }
  return layered;
}

}  // namespace assay::cli
