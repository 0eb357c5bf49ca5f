// SPDX-License-Identifier: Apache-2.0
// Short spellings for layers, bases and stacks in the catalog's tests.
#pragma once

#include <string>
#include <vector>

#include "common/base/sha256.h"
#include "common/catalog/catalog.h"

namespace assay::tests {

/// A digest of some kind that stands for `word`.
template <typename D>
D digest_for(const std::string& kind, const std::string& word) {
  return D{sha256(kind + "/" + word).bytes};
}
inline ShapeDigest shape(const std::string& word) {
  return digest_for<ShapeDigest>("shape", word);
}
inline ContentDigest content(const std::string& word) {
  return digest_for<ContentDigest>("content", word);
}
inline DiffId diff_id(const std::string& word) {
  return digest_for<DiffId>("diff", word);
}
inline DeletionsDigest deletions(const std::string& word) {
  return digest_for<DeletionsDigest>("deletions", word);
}

/// A layer called `word` as the catalog holds it, with everything known.
inline catalog::BaseLayer base_layer(const std::string& word) {
  return {diff_id(word), shape(word), content(word), deletions("none"), 10, 1000};
}

inline catalog::BaseId id_of(const std::string& text) {
  return catalog::BaseId::parse(text).value();
}

/// An approved base with one stack of the layers `words`.
inline catalog::Base base(const std::string& id, const std::vector<std::string>& words) {
  catalog::Base made;
  made.id = id_of(id);
  made.status = catalog::BaseStatus::kApproved;
  catalog::BaseStack stack;
  stack.platform = "linux/amd64";
  for (const std::string& word : words)
    stack.layers.push_back(base_layer(word));
  made.stacks.push_back(std::move(stack));
  return made;
}

inline catalog::Catalog catalog_of(const std::vector<catalog::Base>& bases,
                                   catalog::Policy policy = {}) {
  std::map<catalog::BaseId, catalog::Base> by_id;
  for (const catalog::Base& made : bases)
    by_id.emplace(made.id, made);
  return catalog::Catalog(std::string(32, 'a'), 7, std::move(by_id), policy);
}

inline catalog::StackLayer layer_with(catalog::LayerEvidence evidence) {
  static std::uint64_t inode = 100;
  catalog::StackLayer layer;
  layer.instance = {"uuid:0", ++inode, 1, 1};
  layer.evidence = std::move(evidence);
  return layer;
}

}  // namespace assay::tests
