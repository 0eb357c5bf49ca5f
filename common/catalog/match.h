// SPDX-License-Identifier: Apache-2.0
// Comparing the layers of a run with those of bases; internal to common/catalog.
#pragma once

#include <string>
#include <vector>

#include "common/catalog/base_image.h"
#include "common/catalog/catalog.h"
#include "common/catalog/evidence.h"

namespace assay::catalog {

/// What one layer of a run is to one layer of a base.
struct LayerComparison {
  Rung rung = Rung::kNone;
  bool is_contradiction = false;     ///< a lower rung says yes where the content says no
  bool is_by_claim = false;          ///< and that rung is `claimed`: the shape says no as well
  bool has_other_deletions = false;  ///< or ones that could not be compared
  bool deletions_agree = false;      ///< both are known and equal
};

/// How a layer is to be compared.
struct Comparing {
  bool counts_deletions = true;  ///< false at the bottom, where some unpackers drop whiteouts
  bool is_seen = false;  ///< the merged view shows the layer as it is: no cap, and no hidden marks
};
LayerComparison compare_layer(const LayerEvidence& run, const BaseLayer& base,
                              const Comparing& comparing);

/// One stack of a base found in a run.
struct StackMatch {
  const Base* base = nullptr;  ///< owned by the catalog
  std::size_t first_layer = 0;
  std::size_t layers = 0;  ///< of the run that it covers; 1 for a root
  std::size_t depth = 0;   ///< of the base's own layers: the longest base names the run
  Rung rung = Rung::kNone;
  bool has_other_deletions = false;
  std::vector<bool> deletions_agree = {};  ///< one per layer; at the bottom always
};

/// A layer that only looks like the base's.
struct Contradiction {
  std::size_t layer = 0;  ///< index among the compared layers
  const Base* base = nullptr;
  bool is_by_claim = false;
};

struct Matches {
  std::vector<StackMatch> found;
  std::vector<Contradiction> contradictions;
};

/// The stack's layers that are compared: all but the injected ones, bottom first.
std::vector<const StackLayer*> compared_layers(const Stack& stack);

/// The best match (longest, then highest rung) of every base that begins at `first_layer`.
/// `seen_layers`: as in Stack.
Matches matches_at(const std::vector<const StackLayer*>& layers, std::size_t first_layer,
                   const Catalog& catalog, std::size_t seen_layers);

}  // namespace assay::catalog
