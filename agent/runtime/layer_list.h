// SPDX-License-Identifier: Apache-2.0
// layers.json of containers/storage as a table in memory: some ten thousand layers in a few
// megabytes. Private to agent/runtime.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "agent/runtime/json_rows.h"
#include "common/base/digest.h"

namespace assay::agent {

/// A layer's id there is 64 hex digits and no chain ID: SHA-256 over parent, "+" and diff ID for
/// layers that were pulled, random for built ones.
struct ListedLayer {
  Sha256 id;
  std::optional<Sha256> parent;   ///< none: a bottom layer
  std::optional<DiffId> diff_id;  ///< none: a container's own layer, or one known by its TOC only
  bool is_ambiguous = false;      ///< the list names the id twice, with different words
  bool has_bad_parent = false;    ///< its parent is no such id
};

/// Immutable once built.
class LayerList {
 public:
  /// `fd`: layers.json or volatile-layers.json. Errors: those of read_json_rows.
  /// Source: containers/storage layers.go, type Layer.
  static Result<LayerList> read(int fd, const RowLimits& limits);

  /// Nothing when the list does not name it.
  const ListedLayer* find(const Sha256& id) const;
  std::size_t size() const { return layers_.size(); }

 private:
  std::vector<ListedLayer> layers_;  // by id, each once
};

}  // namespace assay::agent
