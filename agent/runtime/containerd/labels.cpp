// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containerd/labels.h"

#include "agent/runtime/annotations.h"
#include "agent/runtime/bounded_json.h"

namespace assay::agent {

void read_container_labels(const ContainerdContainer& container, ContainerNames& names) {
  auto labels = nlohmann::json::object();
  for (const auto& [key, value] : container.labels)
    labels.emplace(key, value);
  read_labels(labels, names);
}

void read_pod_labels(const ContainerdContainer& sandbox, ContainerNames& names) {
  read_container_labels(sandbox, names);
  const auto parsed = parse_bounded_json(sandbox.sandbox_metadata);
  if (!parsed || !parsed->is_object()) return;
  const auto& config = member(member(*parsed, "Metadata"), "Config");
  read_labels(member(config, "labels"), names);
  read_labels(member(config, "annotations"), names);
}

std::string pods_sandbox(const ContainerNames& names) {
  const auto id = names.labels.find("io.kubernetes.cri.sandbox-id");
  if (id == names.labels.end() || id->second == names.container_id) return "";
  return id->second;
}

}  // namespace assay::agent
