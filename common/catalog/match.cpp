// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/match.h"

#include <algorithm>
#include <tuple>

namespace assay::catalog {
namespace {

/// The rung of two layers whose contents are equal.
LayerComparison compare_equal_content(const LayerEvidence& run, const BaseLayer& base,
                                      bool counts_deletions) {
  LayerComparison result;
  result.rung =
      run.exact && base.diff_id && *run.exact == *base.diff_id ? Rung::kExact : Rung::kContent;
  if (counts_deletions && run.deletions && base.deletions && *run.deletions != *base.deletions) {
    result.has_other_deletions = true;
    result.rung = Rung::kShape;
  }
  if (run.is_capped_at_shape) result.rung = std::min(result.rung, Rung::kShape);
  return result;
}

/// Compares a stack of a base with the layers from `first_layer` on; false when it is not there.
bool match_stack(const std::vector<const StackLayer*>& layers, const StackReference& reference,
                 StackMatch& match, std::vector<Contradiction>& contradictions) {
  const auto& base_layers = reference.stack->layers;
  if (base_layers.size() > layers.size() - match.first_layer) return false;
  match.base = reference.base;
  match.layers = base_layers.size();
  match.rung = Rung::kExact;
  for (std::size_t i = 0; i < base_layers.size(); ++i) {
    const std::size_t at = match.first_layer + i;
    const auto compared = compare_layer(layers[at]->evidence, base_layers[i], i != 0);
    if (compared.is_contradiction)
      contradictions.push_back({at, reference.base, compared.is_by_claim});
    if (compared.rung == Rung::kNone) return false;
    match.has_other_deletions |= compared.has_other_deletions;
    match.rung = std::min(match.rung, compared.rung);
  }
  return true;
}

void keep_best(std::vector<StackMatch>& found, const StackMatch& match) {
  const auto same = std::find_if(found.begin(), found.end(),
                                 [&](const StackMatch& known) { return known.base == match.base; });
  if (same == found.end())
    found.push_back(match);
  else if (std::tie(same->layers, same->rung) < std::tie(match.layers, match.rung))
    *same = match;
}

}  // namespace

LayerComparison compare_layer(const LayerEvidence& run, const BaseLayer& base,
                              bool counts_deletions) {
  if (run.content && *run.content == base.content)
    return compare_equal_content(run, base, counts_deletions);
  const bool has_shape = run.shape && *run.shape == base.shape;
  const bool is_comparable = run.claimed && base.diff_id && !run.is_claim_for_display;
  const bool has_claim = is_comparable && !run.is_mutable && *run.claimed == *base.diff_id;
  LayerComparison result;
  if (run.content && !run.is_capped_at_shape) {  // the bytes are known, and they are others
    result.is_contradiction = has_shape || has_claim;
    result.is_by_claim = !has_shape && has_claim;
  } else if (has_shape) {
    result.rung = Rung::kShape;
  } else if (has_claim) {
    result.rung = Rung::kClaimed;
  }
  return result;
}

std::vector<const StackLayer*> compared_layers(const Stack& stack) {
  std::vector<const StackLayer*> layers;
  for (const StackLayer& layer : stack.layers)
    if (!layer.is_injected) layers.push_back(&layer);
  return layers;
}

Matches matches_at(const std::vector<const StackLayer*>& layers, std::size_t first_layer,
                   const Catalog& catalog) {
  Matches matches;
  if (first_layer >= layers.size()) return matches;
  for (const StackReference& reference : catalog.candidates(layers[first_layer]->evidence)) {
    StackMatch match{.first_layer = first_layer};
    if (match_stack(layers, reference, match, matches.contradictions))
      keep_best(matches.found, match);
  }
  return matches;
}

}  // namespace assay::catalog
