// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/layer_list.h"

#include <algorithm>
#include <tuple>

namespace assay::agent {
namespace {

/// 64 hex digits, or nothing.
std::optional<Sha256> id_of(const std::string& text) {
  if (text.size() != 64) return std::nullopt;
  auto id = Sha256::parse(text);
  return id ? std::optional<Sha256>(*id) : std::nullopt;
}

std::optional<ListedLayer> layer_of(const JsonRow& row) {
  const auto id = id_of(row.texts[0]);
  if (!id) return std::nullopt;
  ListedLayer layer;
  layer.id = *id;
  layer.parent = id_of(row.texts[1]);
  layer.has_bad_parent = !layer.parent && !row.texts[1].empty();
  if (row.texts[2].starts_with("sha256:"))
    if (auto diff_id = DiffId::parse(row.texts[2])) layer.diff_id = *diff_id;
  return layer;
}

auto facts_of(const ListedLayer& layer) {
  return std::tie(layer.parent, layer.diff_id, layer.has_bad_parent);
}

}  // namespace

Result<LayerList> LayerList::read(int fd, const RowLimits& limits) {
  LayerList list;
  std::vector<ListedLayer>& layers = list.layers_;
  ASSAY_TRY(
      read_json_rows(fd, {{"id", "parent", "diff-digest"}, {}}, limits, [&](const JsonRow& row) {
        if (auto layer = layer_of(row)) layers.push_back(*layer);
        return true;
      }));
  std::stable_sort(layers.begin(), layers.end(),
                   [](const ListedLayer& a, const ListedLayer& b) { return a.id < b.id; });
  std::size_t kept = 0;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (kept > 0 && layers[kept - 1].id == layers[i].id)
      layers[kept - 1].is_ambiguous |= facts_of(layers[kept - 1]) != facts_of(layers[i]);
    else
      layers[kept++] = layers[i];
  }
  layers.resize(kept);
  layers.shrink_to_fit();
  return list;
}

const ListedLayer* LayerList::find(const Sha256& id) const {
  const auto found = std::lower_bound(
      layers_.begin(), layers_.end(), id,
      [](const ListedLayer& layer, const Sha256& wanted) { return layer.id < wanted; });
  return found != layers_.end() && found->id == id ? &*found : nullptr;
}

}  // namespace assay::agent
