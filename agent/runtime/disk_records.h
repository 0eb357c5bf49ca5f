// SPDX-License-Identifier: Apache-2.0
// Names of containers from what their runtimes keep on disk, read-only and without any socket.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// Folders to look in, in this order; those that do not exist are passed over.
struct RuntimeRoots {
  std::vector<std::string> docker;              ///< data roots, e.g. /var/lib/docker
  std::vector<std::string> containerd;          ///< states, e.g. /run/containerd
  std::vector<std::string> containers_storage;  ///< graph roots, additional image stores, run roots
};

/// Where Debian's packages and the usual Kubernetes distributions keep them.
RuntimeRoots default_runtime_roots();

/// Everything read is hostile: bounded, never thrown over, never followed out of its folder.
class DiskRecords final : public RuntimeRecords {
 public:
  explicit DiskRecords(RuntimeRoots roots) : roots_(std::move(roots)) {}

  ContainerNames look_up(const ContainerStart& start) override;
  std::string sandbox_of(const ContainerNames& names, const ContainerStart& start) override;
  /// The same by the records alone, whoever asks.
  std::string recorded_sandbox(const ContainerNames& names) const;
  /// Of the container `id` of a namespace of containerd's ("moby": docker's). `process`: its first.
  ContainerNames look_up_task(const std::string& name_space, const std::string& id,
                              std::uint32_t process) const;

 private:
  ContainerNames look_up_unmarked(const ContainerStart& start) const;
  bool read_docker(ContainerNames& names) const;
  /// `process`: the one that the start was seen of.
  bool read_containerd(ContainerNames& names, const std::string& name_space,
                       std::uint32_t process) const;
  bool read_containers_storage(ContainerNames& names) const;
  /// The runtime that docker was told to use for the container; "" for none.
  std::string docker_runtime(const std::string& container_id) const;
  /// The shim that serves the container; "" when no bundle says.
  std::string shim_of(const std::string& container_id) const;
  /// Numbers of the container's first process and of the shims that serve it, by its bundle.
  std::set<std::uint32_t> processes_of(const ContainerNames& names) const;

  const RuntimeRoots roots_;
};

}  // namespace assay::agent
