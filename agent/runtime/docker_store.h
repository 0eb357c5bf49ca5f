// SPDX-License-Identifier: Apache-2.0
// docker's own store: containers, layerdb and imagedb of the graph drivers overlay2 and vfs.
// Private to agent/runtime.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "agent/runtime/kernel_layers.h"
#include "agent/runtime/store_folder.h"
#include "agent/runtime/store_record.h"

namespace assay::agent {

/// What a container's config.v2.json says of its image; of docker 28 and later with containerd's
/// store also the one manifest that was unpacked.
void read_docker_image(const nlohmann::json& config, ContainerNames& names);

/// What docker's data root says of a container; nothing when the container is not there (any more).
/// With docker's containerd store only the names that its own record holds.
///
/// Reads a few small files per layer.
/// Source: moby daemon/internal/layer/filestore.go, daemon/internal/image/fs.go,
/// daemon/container/container.go, reference/store.go.
std::optional<StoreRecord> read_docker_store(StoreFolder& root, const std::string& container_id,
                                             const KernelLayers& kernel);

}  // namespace assay::agent
