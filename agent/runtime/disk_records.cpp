// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/disk_records.h"

#include <algorithm>

#include "agent/runtime/annotations.h"
#include "agent/runtime/bounded_json.h"
#include "agent/runtime/cgroup_path.h"
#include "agent/runtime/containers_storage.h"
#include "agent/runtime/docker_store.h"
#include "agent/runtime/sandbox.h"
#include "agent/runtime/store_folder.h"
#include "agent/runtime/store_record.h"
#include "agent/runtime/task_folder.h"

namespace assay::agent {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxJsonBytes = 1U << 20;

void fill(std::string& target, std::string value) {
  if (target.empty()) target = std::move(value);
}

void read_metadata(const std::string& text, ContainerNames& names) {
  const auto metadata = parse_bounded_json(text);
  if (!metadata) return;
  fill(names.image_id, text_at(*metadata, "image-id"));
  fill(names.image, name_of_image(text_at(*metadata, "image-name"), names.image_id));
  fill(names.pod_name, text_at(*metadata, "pod-name"));
  fill(names.pod_namespace, text_at(*metadata, "namespace"));
  fill(names.name, text_at(*metadata, "metadata-name"));
  fill(names.name, text_at(*metadata, "name"));
}

/// Whether the shim's note of the container's first process names `process`: while that one lives
/// no other process of the host can have its number.
bool is_init(const std::optional<std::string>& note, std::uint32_t process) {
  return note && process != 0 && *note == std::to_string(process);
}

}  // namespace

RuntimeRoots default_runtime_roots() {
  return {
      {"/var/lib/docker"},
      {"/run/containerd", "/run/docker/containerd/daemon", "/run/k3s/containerd",
       "/run/k0s/containerd", "/var/snap/microk8s/common/run/containerd"},
      {"/var/lib/containers/storage", "/usr/lib/containers/storage", "/run/containers/storage"}};
}

ContainerNames DiskRecords::look_up(const ContainerStart& start) {
  ContainerNames names;
  if (auto found = parse_cgroup_path(start.cgroup_path)) {
    names.container_id = std::move(found->container_id);
    names.runtime = std::move(found->runtime);
    names.pod_uid = std::move(found->pod_uid);
  } else {
    return look_up_unmarked(start);
  }
  if (names.container_id.empty() || !is_safe_name(names.container_id)) return names;
  if (names.runtime == "docker") read_docker(names);
  if (names.runtime == "containerd") read_containerd(names, "", start.process.key.tgid);
  if (names.runtime == "podman" || names.runtime == "cri-o") read_containers_storage(names);
  return names;
}

/// Of a path in which no runtime left a mark: a container only when a store knows it.
ContainerNames DiskRecords::look_up_unmarked(const ContainerStart& start) const {
  if (const auto ctr = parse_ctr_cgroup(start.cgroup_path)) {
    ContainerNames names;
    names.container_id = ctr->container_id;
    if (read_containerd(names, ctr->name_space, start.process.key.tgid)) {
      names.runtime = "containerd";
      fill(names.name, names.container_id);
      return names;
    }
  }
  if (auto id = parse_bare_id_cgroup(start.cgroup_path)) {
    ContainerNames names;
    names.container_id = std::move(*id);
    names.runtime = "docker";
    if (read_docker(names)) return names;
  }
  return {};
}

ContainerNames DiskRecords::look_up_task(const std::string& name_space, const std::string& id,
                                         std::uint32_t process) const {
  ContainerNames names;
  names.container_id = id;
  const bool is_dockers = name_space == "moby" || name_space.starts_with("moby-");  // by user ids
  names.runtime = is_dockers ? "docker" : "containerd";
  if (is_dockers) read_docker(names);
  read_containerd(names, name_space, process);
  fill(names.name, id);
  return names;
}

std::string DiskRecords::sandbox_of(const ContainerNames& names, const ContainerStart& start) {
  std::string sandbox = recorded_sandbox(names);
  if (sandbox.empty() || names.is_bound_to_kernel) return sandbox;
  const std::set<std::uint32_t> known = processes_of(names);
  const auto is_known = [&](const ProcessInfo& process) {
    return known.contains(process.key.tgid);
  };
  const bool is_its = is_known(start.process) || std::ranges::any_of(start.ancestors, is_known);
  return is_its ? sandbox : "";
}

std::string DiskRecords::recorded_sandbox(const ContainerNames& names) const {
  if (names.is_users_to_write || !is_safe_name(names.container_id)) return "";
  std::string sandbox;
  if (names.runtime == "docker") sandbox = sandbox_of_runtime(docker_runtime(names.container_id));
  if (names.runtime == "docker" || names.runtime == "containerd")
    fill(sandbox, sandbox_of_runtime(shim_of(names.container_id)));
  return sandbox;
}

std::set<std::uint32_t> DiskRecords::processes_of(const ContainerNames& names) const {
  std::vector<std::string> ids{names.container_id};
  if (const auto pod = names.labels.find("io.kubernetes.cri.sandbox-id");
      pod != names.labels.end() && is_safe_name(pod->second))
    ids.push_back(pod->second);
  std::set<std::uint32_t> processes;
  for (const std::string& path : roots_.containerd) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    for (const std::string& space : root->folders_in(kTaskFolder, kMaxTaskNamespaces))
      for (const std::string& id : ids)
        for (const char* file : {"/init.pid", "/shim.pid"}) {
          const auto text = root->read(task_bundle(space, id) + file, kMaxPidBytes);
          if (const auto pid = text ? pid_of(*text) : std::nullopt) processes.insert(*pid);
        }
    if (root->is_others_to_write()) return {};
  }
  return processes;
}

std::string DiskRecords::docker_runtime(const std::string& container_id) const {
  for (const std::string& path : roots_.docker) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    const auto text = root->read("containers/" + container_id + "/hostconfig.json", kMaxJsonBytes);
    const auto config = text ? parse_bounded_json(*text) : std::nullopt;
    if (config && !root->is_others_to_write()) return text_at(*config, "Runtime");
  }
  return "";
}

std::string DiskRecords::shim_of(const std::string& container_id) const {
  for (const std::string& path : roots_.containerd) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    for (const std::string& space : root->folders_in(kTaskFolder, kMaxTaskNamespaces)) {
      auto shim = root->read(task_bundle(space, container_id) + "/shim-binary-path", kMaxSmallFile);
      if (shim && !root->is_others_to_write()) return std::move(*shim);
    }
  }
  return "";
}

bool DiskRecords::read_docker(ContainerNames& names) const {
  for (const std::string& path : roots_.docker) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    const auto text =
        root->read("containers/" + names.container_id + "/config.v2.json", kMaxJsonBytes);
    names.is_users_to_write |= text && root->is_others_to_write();
    const auto config = text ? parse_bounded_json(*text) : std::nullopt;
    if (!config) continue;
    std::string name = text_at(*config, "Name");
    if (name.starts_with('/')) name.erase(0, 1);
    fill(names.name, std::move(name));
    read_docker_image(*config, names);
    read_labels(member(member(*config, "Config"), "Labels"), names);
    return true;
  }
  return false;
}

bool DiskRecords::read_containerd(ContainerNames& names, const std::string& name_space,
                                  std::uint32_t process) const {
  for (const std::string& path : roots_.containerd) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    const std::vector<std::string> spaces = name_space.empty()
                                                ? root->folders_in(kTaskFolder, kMaxTaskNamespaces)
                                                : std::vector{name_space};
    for (const std::string& space : spaces) {
      const std::string bundle = task_bundle(space, names.container_id);
      const auto spec = root->read(bundle + "/config.json", kMaxJsonBytes);
      if (!spec || !read_spec_annotations(*spec, names)) continue;
      names.is_bound_to_kernel |= is_init(root->read(bundle + "/init.pid", kMaxPidBytes), process);
      names.is_users_to_write |= root->is_others_to_write();
      return true;
    }
  }
  return false;
}

bool DiskRecords::read_containers_storage(ContainerNames& names) const {
  for (const std::string& path : roots_.containers_storage) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    for (const std::string driver : {"overlay", "vfs"}) {
      RowLimits limits;
      limits.max_bytes = kMaxJsonBytes;  // on the way of a start; what is larger is claims' work
      const auto entry = find_listed_container(*root, driver, names.container_id, limits);
      if (!entry) continue;
      fill(names.name, entry->name);
      fill(names.image_id, entry->image_id);
      read_metadata(entry->metadata, names);
      const auto spec = root->read(
          driver + "-containers/" + names.container_id + "/userdata/config.json", kMaxJsonBytes);
      if (spec) read_spec_annotations(*spec, names);
      names.is_users_to_write |= root->is_others_to_write();
      return true;
    }
  }
  return false;
}

}  // namespace assay::agent
