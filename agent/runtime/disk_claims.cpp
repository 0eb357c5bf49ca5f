// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/disk_claims.h"

#include "agent/runtime/docker_store.h"

namespace assay::agent {

std::optional<StoreRecord> DiskClaims::read(const ClaimTask& task, const KernelLayers& kernel,
                                            const std::stop_token& stop) {
  const ContainerNames& names = task.names;
  if (names.runtime == "podman" || names.runtime == "cri-o")
    return containers_storage_.read(names.container_id, kernel, stop);
  if (names.runtime != "docker") return std::nullopt;
  for (const std::string& path : docker_roots_) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    auto record = read_docker_store(*root, names.container_id, kernel);
    if (!record) continue;
    // Without layers of its own docker may keep them with containerd, which says more.
    if (record->is_complete || record->is_anothers || !record->problems.empty()) return record;
    return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace assay::agent
