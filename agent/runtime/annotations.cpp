// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/annotations.h"

#include <utility>

#include "agent/runtime/bounded_json.h"
#include "agent/runtime/store_record.h"

namespace assay::agent {
namespace {

using nlohmann::json;

using catalog::kMaxLabels;
constexpr std::size_t kMaxLabelKey = 256;
constexpr std::size_t kMaxLabelValue = 1024;

void fill(std::string& target, std::string value) {
  if (target.empty()) target = std::move(value);
}

void add_label(const std::string& key, const json& value, ContainerNames& names) {
  const auto* text = value.get_ptr<const json::string_t*>();
  if (text == nullptr || key.size() > kMaxLabelKey || text->size() > kMaxLabelValue) return;
  if (names.labels.size() < kMaxLabels) names.labels.emplace(key, *text);
}

void add_labels(const json& object, ContainerNames& names) {
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items())
    add_label(key, value, names);
}

void read_kubernetes_labels(const json& labels, ContainerNames& names) {
  fill(names.pod_name, text_at(labels, "io.kubernetes.pod.name"));
  fill(names.pod_namespace, text_at(labels, "io.kubernetes.pod.namespace"));
  fill(names.pod_uid, text_at(labels, "io.kubernetes.pod.uid"));
}

void read_annotations(const json& annotations, ContainerNames& names) {
  fill(names.name, text_at(annotations, "io.kubernetes.cri.container-name"));
  fill(names.image, name_of_image(text_at(annotations, "io.kubernetes.cri.image-name"), ""));
  fill(names.pod_name, text_at(annotations, "io.kubernetes.cri.sandbox-name"));
  fill(names.pod_namespace, text_at(annotations, "io.kubernetes.cri.sandbox-namespace"));
  fill(names.pod_uid, text_at(annotations, "io.kubernetes.cri.sandbox-uid"));
  fill(names.name, text_at(annotations, "nerdctl/name"));
  fill(names.name, text_at(annotations, "io.kubernetes.container.name"));
  fill(names.image, name_of_image(text_at(annotations, "io.kubernetes.cri-o.ImageName"), ""));
  read_labels(annotations, names);
}

}  // namespace

bool read_spec_annotations(std::string_view spec, ContainerNames& names) {
  const auto parsed = parse_bounded_json(spec);
  if (!parsed || !parsed->is_object()) return false;
  read_annotations(member(*parsed, "annotations"), names);
  return true;
}

/// kubelet's labels are copied onto containers by dockershim and CRI-O.
void read_labels(const json& labels, ContainerNames& names) {
  read_kubernetes_labels(labels, names);
  add_labels(labels, names);
}

}  // namespace assay::agent
