// SPDX-License-Identifier: Apache-2.0
// What a node's own records say of a container: the same value in agent, collector and command
// line.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "common/base/digest.h"

namespace assay::catalog {

/// Claims, for people: no verdict depends on them. Text is raw as the record holds it; "" is what
/// no record says.
struct ContainerNames {
  std::string container_id;
  std::string runtime;  ///< docker, containerd, podman, cri-o, lxc, systemd-nspawn, garden
  std::string name;
  std::string image;     ///< by name; never a bare id or digest
  std::string image_id;  ///< what the runtime calls the image's id, whichever digest that is
  std::optional<ConfigDigest> config_digest;
  std::optional<ManifestDigest> manifest_digest;  ///< known to be one platform's manifest
  std::optional<RepoDigest> repo_digest;  ///< by which it was pulled: of a manifest or an index
  std::string pod_name;
  std::string pod_namespace;
  std::string pod_uid;
  std::map<std::string, std::string> labels;
  bool operator==(const ContainerNames&) const = default;
};

}  // namespace assay::catalog
