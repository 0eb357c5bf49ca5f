// SPDX-License-Identifier: Apache-2.0
// What a node's own records say of a container: the same value in agent, collector and command
// line.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "common/base/digest.h"

namespace assay::catalog {

inline constexpr std::size_t kMaxLabels = 64;  ///< of one container; more are left out

/// Claims, for people: no verdict depends on them; exemptions do, where they are confirmed. Text is
/// raw as the record holds it; "" is what no record says.
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
  /// The kernel agrees with the record that names this container: its upper directory, or its init.
  bool is_bound_to_kernel = false;
  bool is_users_to_write = false;  ///< someone but root may write some record that told this
  /// Whether the names are this very container's, as far as a node can tell.
  bool are_confirmed() const { return is_bound_to_kernel && !is_users_to_write; }
  bool operator==(const ContainerNames&) const = default;
};

}  // namespace assay::catalog
