// SPDX-License-Identifier: Apache-2.0
// The first day: what runs and stands on no base, by the layers that images have in common.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/core/store.h"

namespace assay::collector {

/// Layers that some images have in common, from the bottom.
struct Proposal {
  std::string id;                           ///< 64 hex digits over the layers' contents
  std::vector<catalog::StackLayer> layers;  ///< of one of the stacks, bottom first
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::uint64_t images = 0;                 ///< different stacks of layers on it
  std::vector<std::string> example_images;  ///< names, the most used first
  catalog::About about;                     ///< of one of the stacks: a claim
  std::string below;      ///< id of the longest proposal that it stands on itself, "" = none
  bool is_whole = false;  ///< one image only: nobody can tell where its base ends
};

struct DiscoveryView {
  std::uint64_t running = 0;   ///< runs on no base
  std::uint64_t not_read = 0;  ///< of them, those whose layers are not known to the last byte yet
  std::vector<Proposal> proposals;  ///< the one that most run on first
};
inline constexpr std::size_t kMaxExampleImages = 5;

/// Groups running stacks without any base by common prefix: where images part, there a base may
/// end. Layers are told apart by their contents; injected ones are left out. Thread-safe; blocks on
/// the store for seconds where 300,000 run. Errors: those of the store.
Result<DiscoveryView> discover(Store& store, std::size_t max_proposals);

}  // namespace assay::collector
