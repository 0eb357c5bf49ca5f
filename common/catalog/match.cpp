// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/match.h"

#include <algorithm>
#include <span>
#include <tuple>

namespace assay::catalog {
namespace {

/// In either of the forms that unpackers give the base's layer.
bool is_content_of(const ContentDigest& content, const BaseLayer& base) {
  return content == base.content || (base.deviceless && content == base.deviceless->content);
}

bool is_shape_of(const ShapeDigest& shape, const BaseLayer& base) {
  return shape == base.shape || (base.deviceless && shape == base.deviceless->shape);
}

/// The rung of two layers whose contents are equal.
LayerComparison compare_equal_content(const LayerEvidence& run, const BaseLayer& base,
                                      const Comparing& comparing) {
  LayerComparison result;
  result.rung =
      run.exact && base.diff_id && *run.exact == *base.diff_id ? Rung::kExact : Rung::kContent;
  result.deletions_agree = !comparing.counts_deletions ||
                           (run.deletions && base.deletions && *run.deletions == *base.deletions);
  if (comparing.is_seen) return result;
  if (!result.deletions_agree) {
    result.has_other_deletions = true;
    result.rung = Rung::kShape;
  }
  if (run.is_capped_at_shape) result.rung = std::min(result.rung, Rung::kShape);
  return result;
}

/// A stack's root as the one layer that a run of it stands on.
BaseLayer layer_of_root(const BaseStack& stack) {
  const BaseRoot& root = *stack.root;
  return {std::nullopt, root.shape, root.content, std::nullopt, root.entries, root.content_bytes};
}

/// The compared layers of a stack, and how many of them were seen as they are.
struct StackLayers {
  const std::vector<const StackLayer*>& all;
  std::size_t seen = 0;
};

/// Compares `base_layers` with the layers from `match.first_layer` on; false when they are not
/// there.
bool match_layers(const StackLayers& layers, std::span<const BaseLayer> base_layers,
                  StackMatch& match, std::vector<Contradiction>& contradictions) {
  if (base_layers.size() > layers.all.size() - match.first_layer) return false;
  match.layers = base_layers.size();
  match.rung = Rung::kExact;
  for (std::size_t i = 0; i < base_layers.size(); ++i) {
    const std::size_t at = match.first_layer + i;
    const auto compared =
        compare_layer(layers.all[at]->evidence, base_layers[i], {i != 0, at < layers.seen});
    if (compared.is_contradiction) contradictions.push_back({at, match.base, compared.is_by_claim});
    if (compared.rung == Rung::kNone) return false;
    match.has_other_deletions |= compared.has_other_deletions;
    match.deletions_agree.push_back(compared.deletions_agree);
    match.rung = std::min(match.rung, compared.rung);
  }
  return true;
}

bool match_stack(const StackLayers& layers, const StackReference& reference, StackMatch& match,
                 std::vector<Contradiction>& contradictions) {
  match.base = reference.base;
  match.depth = reference.stack->layers.size();
  if (!reference.is_root)
    return match_layers(layers, reference.stack->layers, match, contradictions);
  const BaseLayer root = layer_of_root(*reference.stack);
  return match_layers(layers, {&root, 1}, match, contradictions);
}

void keep_best(std::vector<StackMatch>& found, const StackMatch& match) {
  const auto same = std::find_if(found.begin(), found.end(),
                                 [&](const StackMatch& known) { return known.base == match.base; });
  if (same == found.end())
    found.push_back(match);
  else if (std::tie(same->depth, same->rung) < std::tie(match.depth, match.rung))
    *same = match;
}

/// A root shows no layers, but the catalog says which ones made it: every base that lies at the
/// bottom of those lies below the run as well.
void add_bases_below(const StackReference& found, const StackMatch& of_root, const Catalog& catalog,
                     std::vector<StackMatch>& matches) {
  std::vector<StackLayer> made_of;
  std::vector<const StackLayer*> layers;
  made_of.reserve(found.stack->layers.size());
  for (const BaseLayer& layer : found.stack->layers) {
    StackLayer& made = made_of.emplace_back();
    made.evidence.shape = layer.shape;
    made.evidence.content = layer.content;
    made.evidence.deletions = layer.deletions;
    layers.push_back(&made);
  }
  for (const StackReference& reference : catalog.candidates(made_of.front().evidence)) {
    StackMatch below;
    std::vector<Contradiction> ignored;  // between two bases, not between the run and one
    if (reference.is_root || !match_stack({layers, layers.size()}, reference, below, ignored))
      continue;
    if (below.rung < Rung::kContent) continue;
    below.layers = of_root.layers;
    below.first_layer = of_root.first_layer;
    below.rung = of_root.rung;
    keep_best(matches, below);
  }
}

}  // namespace

LayerComparison compare_layer(const LayerEvidence& run, const BaseLayer& base,
                              const Comparing& comparing) {
  if (run.content && is_content_of(*run.content, base))
    return compare_equal_content(run, base, comparing);
  const bool is_capped = run.is_capped_at_shape && !comparing.is_seen;
  const bool has_shape = run.shape && is_shape_of(*run.shape, base);
  const bool is_comparable = run.claimed && base.diff_id && !run.is_claim_for_display;
  const bool has_claim = is_comparable && !run.is_mutable && *run.claimed == *base.diff_id;
  LayerComparison result;
  if (run.content && !is_capped) {  // the bytes are known, and they are others
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
                   const Catalog& catalog, std::size_t seen_layers) {
  Matches matches;
  if (first_layer >= layers.size()) return matches;
  for (const StackReference& reference : catalog.candidates(layers[first_layer]->evidence)) {
    StackMatch match{.first_layer = first_layer};
    if (!match_stack({layers, seen_layers}, reference, match, matches.contradictions)) continue;
    keep_best(matches.found, match);
    if (reference.is_root) add_bases_below(reference, match, catalog, matches.found);
  }
  return matches;
}

}  // namespace assay::catalog
