// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/disk_records.h"

#include <dirent.h>

#include <memory>

#include "agent/runtime/bounded_json.h"
#include "agent/runtime/cgroup_path.h"

namespace assay::agent {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxLabels = 64;
constexpr std::size_t kMaxLabelKey = 256;
constexpr std::size_t kMaxLabelValue = 1024;
constexpr std::size_t kMaxNamespaces = 64;
constexpr const char* kTasks = "io.containerd.runtime.v2.task";

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

/// kubelet's labels, which dockershim and CRI-O copy onto their containers.
void read_kubernetes_labels(const json& labels, ContainerNames& names) {
  fill(names.pod_name, text_at(labels, "io.kubernetes.pod.name"));
  fill(names.pod_namespace, text_at(labels, "io.kubernetes.pod.namespace"));
  fill(names.pod_uid, text_at(labels, "io.kubernetes.pod.uid"));
}

/// Source: containerd internal/cri/annotations/annotations.go; CRI-O pkg/annotations.
void read_annotations(const json& annotations, ContainerNames& names) {
  fill(names.name, text_at(annotations, "io.kubernetes.cri.container-name"));
  fill(names.image, text_at(annotations, "io.kubernetes.cri.image-name"));
  fill(names.pod_name, text_at(annotations, "io.kubernetes.cri.sandbox-name"));
  fill(names.pod_namespace, text_at(annotations, "io.kubernetes.cri.sandbox-namespace"));
  fill(names.pod_uid, text_at(annotations, "io.kubernetes.cri.sandbox-uid"));
  fill(names.name, text_at(annotations, "nerdctl/name"));
  fill(names.name, text_at(annotations, "io.kubernetes.container.name"));
  fill(names.image, text_at(annotations, "io.kubernetes.cri-o.ImageName"));
  read_kubernetes_labels(annotations, names);
  add_labels(annotations, names);
}

bool is_safe_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

std::vector<std::string> folders_in(int folder, const std::string& path) {
  std::vector<std::string> names;
  UniqueFd fd = open_folder_beneath(folder, path);
  if (!fd) return names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::fdopendir(fd.get()));
  if (!directory) return names;
  (void)fd.release();  // the stream owns it now
  while (const dirent* entry = ::readdir(directory.get())) {
    if (is_safe_name(entry->d_name)) names.emplace_back(entry->d_name);
    if (names.size() >= kMaxNamespaces) break;
  }
  return names;
}

bool read_storage_entry(const json& entry, ContainerNames& names) {
  if (text_at(entry, "id") != names.container_id) return false;
  const json& aliases = member(entry, "names");
  if (aliases.is_array() && !aliases.empty() && aliases[0].is_string())
    fill(names.name, aliases[0].get_ref<const json::string_t&>().substr(0, 512));
  fill(names.image_id, text_at(entry, "image"));
  const auto metadata = parse_bounded_json(text_at(entry, "metadata", 64U << 10));
  if (!metadata) return true;
  fill(names.image, text_at(*metadata, "image-name"));
  fill(names.image_id, text_at(*metadata, "image-id"));
  fill(names.pod_name, text_at(*metadata, "pod-name"));
  fill(names.pod_namespace, text_at(*metadata, "namespace"));
  fill(names.name, text_at(*metadata, "metadata-name"));
  fill(names.name, text_at(*metadata, "name"));
  return true;
}

}  // namespace

RuntimeRoots default_runtime_roots() {
  return {{"/var/lib/docker"},
          {"/run/containerd", "/run/docker/containerd", "/run/k3s/containerd",
           "/run/k0s/containerd", "/var/snap/microk8s/common/run/containerd"},
          {"/var/lib/containers/storage"}};
}

ContainerNames DiskRecords::look_up(const ContainerStart& start) {
  ContainerNames names;
  if (auto found = parse_cgroup_path(start.cgroup_path)) {
    names.container_id = std::move(found->container_id);
    names.runtime = std::move(found->runtime);
    names.pod_uid = std::move(found->pod_uid);
  } else if (const auto ctr = parse_ctr_cgroup(start.cgroup_path)) {
    names.container_id = ctr->container_id;
    if (!read_containerd(names, ctr->name_space)) return {};
    names.runtime = "containerd";
    fill(names.name, names.container_id);
    return names;
  }
  if (names.container_id.empty() || !is_safe_name(names.container_id)) return names;
  if (names.runtime == "docker") read_docker(names);
  if (names.runtime == "containerd") read_containerd(names, "");
  if (names.runtime == "podman" || names.runtime == "cri-o") read_containers_storage(names);
  return names;
}

bool DiskRecords::read_docker(ContainerNames& names) const {
  for (const std::string& path : roots_.docker) {
    const UniqueFd root = open_folder(path);
    if (!root) continue;
    const auto text =
        read_beneath(root.get(), "containers/" + names.container_id + "/config.v2.json");
    const auto config = text ? parse_bounded_json(*text) : std::nullopt;
    if (!config) continue;
    std::string name = text_at(*config, "Name");
    if (name.starts_with('/')) name.erase(0, 1);
    fill(names.name, std::move(name));
    fill(names.image_id, text_at(*config, "Image"));
    const json& inner = member(*config, "Config");
    fill(names.image, text_at(inner, "Image"));
    const json& labels = member(inner, "Labels");
    read_kubernetes_labels(labels, names);
    add_labels(labels, names);
    return true;
  }
  return false;
}

bool DiskRecords::read_containerd(ContainerNames& names, const std::string& name_space) const {
  for (const std::string& path : roots_.containerd) {
    const UniqueFd root = open_folder(path);
    if (!root) continue;
    const std::vector<std::string> spaces =
        name_space.empty() ? folders_in(root.get(), kTasks) : std::vector{name_space};
    for (const std::string& space : spaces) {
      const std::string bundle = std::string(kTasks) + "/" + space + "/" + names.container_id;
      const auto text = read_beneath(root.get(), bundle + "/config.json");
      const auto config = text ? parse_bounded_json(*text) : std::nullopt;
      if (!config) continue;
      read_annotations(member(*config, "annotations"), names);
      return true;
    }
  }
  return false;
}

bool DiskRecords::read_containers_storage(ContainerNames& names) const {
  static constexpr const char* kFiles[] = {
      "overlay-containers/containers.json", "overlay-containers/volatile-containers.json",
      "vfs-containers/containers.json", "vfs-containers/volatile-containers.json"};
  for (const std::string& path : roots_.containers_storage) {
    const UniqueFd root = open_folder(path);
    if (!root) continue;
    for (const char* file : kFiles) {
      const auto text = read_beneath(root.get(), file);
      const auto entries = text ? parse_bounded_json(*text) : std::nullopt;
      if (!entries || !entries->is_array()) continue;
      for (const json& entry : *entries) {
        if (!read_storage_entry(entry, names)) continue;
        const std::string folder(file, std::string_view(file).find('/'));
        const auto bundle =
            read_beneath(root.get(), folder + "/" + names.container_id + "/userdata/config.json");
        const auto config = bundle ? parse_bounded_json(*bundle) : std::nullopt;
        if (config) read_annotations(member(*config, "annotations"), names);
        return true;
      }
    }
  }
  return false;
}

}  // namespace assay::agent
