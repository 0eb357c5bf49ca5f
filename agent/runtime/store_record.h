// SPDX-License-Identifier: Apache-2.0
// What a runtime's store says of one container, and how it is held against the kernel. Private to
// agent/runtime.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"
#include "agent/runtime/kernel_layers.h"

namespace assay::agent {

inline constexpr std::size_t kMaxLayers = 500;  // OVL_MAX_STACK: more the kernel does not mount
inline constexpr std::size_t kMaxSmallFile = 512;
inline constexpr std::size_t kMaxImageJson = 4U << 20;  // of a configuration or a manifest

/// One layer by the record.
struct RecordedLayer {
  std::optional<DiffId> diff_id;
  std::optional<ChainId> chain_id;
  /// Which of the kernel's layers its directory is; none: another one, or none at all.
  std::optional<std::size_t> place;
  StreamPlace stream = {};  ///< nobody looked whether it is there
};

struct StoreRecord {
  std::string store;     ///< as conflicts name it, e.g. "docker's record"
  ContainerNames names;  ///< only what the store says of the image
  /// Bottom first, with those that the runtime injects; of a root that is one directory, that one.
  std::vector<RecordedLayer> layers;
  /// False when the record leads to something that this source does not see: a layer in another
  /// store, a file system of another kind. Then layers say nothing about the kernel's.
  bool is_complete = false;
  /// What one record of the store and another disagree on, each as "SUBJECT: REASON".
  std::vector<std::string> problems;
  bool is_for_display = false;  ///< someone but root may write the store
  /// Its container has a directory of its own, and this run writes elsewhere.
  bool is_anothers = false;
};

/// The record held against the kernel: claims only where everything agrees, else conflicts. Pure.
RunClaims compare(const ClaimTask& task, const StoreRecord& record, const KernelLayers& kernel);

/// Chain IDs of the layers from their diff IDs, bottom first, as far up as these are known.
void derive_chain_ids(std::vector<RecordedLayer>& layers);

/// Of a root that is one directory with all layers in it: the chain ID of the top layer names it,
/// and a diff ID only when there is one layer.
std::vector<RecordedLayer> merged(const std::vector<RecordedLayer>& layers);

/// Notes a problem when the configuration of the image, whose digest was checked, lists other diff
/// IDs than the store keeps for the layers. `layers`: the image's, bottom first.
void compare_diff_ids(const std::vector<DiffId>& configured,
                      const std::vector<RecordedLayer>& layers, std::string_view subject,
                      StoreRecord& record);

/// "" for a text that is an id or a digest and no name: 64 hex digits, or `image_id`'s beginning.
std::string name_of_image(std::string text, std::string_view image_id);

}  // namespace assay::agent
