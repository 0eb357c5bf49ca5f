// SPDX-License-Identifier: Apache-2.0
// Claims from the stores that docker, podman and CRI-O keep on disk, without any socket.
#pragma once

#include <string>
#include <vector>

#include "agent/runtime/claim_source.h"
#include "agent/runtime/containers_storage.h"
#include "agent/runtime/disk_records.h"

namespace assay::agent {

class DiskClaims final : public ClaimSource {
 public:
  explicit DiskClaims(const RuntimeRoots& roots)
      : docker_roots_(roots.docker), containers_storage_(roots.containers_storage) {}

  std::string name() const override { return "assay-claims"; }
  std::optional<StoreRecord> read(const ClaimTask& task, const KernelLayers& kernel,
                                  const std::stop_token& stop) override;

 private:
  const std::vector<std::string> docker_roots_;
  ContainersStorage containers_storage_;
};

}  // namespace assay::agent
