// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containerd/labels.h"

#include <string_view>

#include "agent/runtime/annotations.h"
#include "agent/runtime/bounded_json.h"

namespace assay::agent {
namespace {

constexpr std::string_view kKubelets = "io.kubernetes.";

/// Those whose keys begin with `prefix`.
void read_labels_below(std::string_view prefix, const ContainerdContainer& container,
                       ContainerNames& names) {
  auto labels = nlohmann::json::object();
  for (const auto& [key, value] : container.labels)
    if (key.starts_with(prefix)) labels.emplace(key, value);
  read_labels(labels, names);
}

}  // namespace

std::string pods_sandbox(const ContainerNames& names) {
  const auto id = names.labels.find("io.kubernetes.cri.sandbox-id");
  return id == names.labels.end() ? "" : id->second;
}

void read_pod_labels(const ContainerdContainer& sandbox, ContainerNames& names) {
  const auto parsed = parse_bounded_json(sandbox.sandbox_metadata);
  if (!parsed || !parsed->is_object()) return;
  const auto& config = member(member(*parsed, "Metadata"), "Config");
  read_labels(member(config, "labels"), names);
  read_labels(member(config, "annotations"), names);
}

void read_kubelets_labels(const ContainerdContainer& container, ContainerNames& names) {
  read_labels_below(kKubelets, container, names);
}

void read_container_labels(const ContainerdContainer& container, ContainerNames& names) {
  read_labels_below("", container, names);
}

}  // namespace assay::agent
