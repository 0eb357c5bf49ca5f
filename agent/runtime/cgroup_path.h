// SPDX-License-Identifier: Apache-2.0
// Container ids out of cgroup paths: the one thing that every runtime leaves in the kernel.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assay::agent {

struct CgroupContainer {
  std::string container_id;
  std::string runtime;  ///< docker, containerd, cri-o, podman, lxc, systemd-nspawn, garden
  std::string pod_uid;  ///< Kubernetes, with "-"
  bool operator==(const CgroupContainer&) const = default;
};

/// The innermost container that `path` (from the hierarchy's root) names; nothing when no runtime's
/// pattern is in it. containerd's own `/NAMESPACE/ID` is not among them: see parse_ctr_cgroup.
std::optional<CgroupContainer> parse_cgroup_path(std::string_view path);

struct CtrContainer {
  std::string name_space;
  std::string container_id;
};

/// `ctr run` puts a container with any id into `/NAMESPACE/ID`. Many other paths look so: believe
/// it only when containerd has a bundle of these names.
std::optional<CtrContainer> parse_ctr_cgroup(std::string_view path);

/// The outermost part of `path` that is an id of 64 hex digits and nothing else, as docker's
/// `--cgroup-parent` leaves it: believe it only when docker has a container of this id.
std::optional<std::string> parse_bare_id_cgroup(std::string_view path);

}  // namespace assay::agent
