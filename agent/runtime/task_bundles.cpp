// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/task_bundles.h"

#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "agent/runtime/task_folder.h"
#include "common/base/file.h"
#include "common/base/process_stat.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxTasks = 4096;  // of one namespace; a kubelet runs some hundreds
constexpr std::size_t kMaxStatBytes = 4096;
// A file's time is cut to the kernel's tick, and wall clocks are set.
constexpr std::chrono::seconds kTolerance{2};

std::optional<std::uint32_t> pid_of(const std::string& text) {
  std::uint32_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || pid == 0) return std::nullopt;
  return pid;
}

/// What stands in brackets: comm.
std::string name_in(const std::string& stat) {
  const std::size_t open = stat.find('(');
  const std::size_t close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return "";
  return stat.substr(open + 1, close - open - 1);
}

}  // namespace

std::vector<TaskBundle> TaskBundles::list(const IsKnown& is_known) {
  std::vector<TaskBundle> bundles;
  for (const std::string& path : roots_) {
    auto root = StoreFolder::open(path);
    if (!root) continue;
    for (const std::string& space : root->folders_in(kTaskFolder, kMaxTaskNamespaces))
      for (const std::string& id : root->folders_in(task_namespace(space), kMaxTasks)) {
        if (is_known(id)) continue;
        if (auto bundle = read(*root, space, id)) bundles.push_back(std::move(*bundle));
      }
  }
  return bundles;
}

std::optional<TaskBundle> TaskBundles::read(StoreFolder& root, const std::string& name_space,
                                            const std::string& id) {
  const std::string bundle = task_bundle(name_space, id);
  const UniqueFd folder = root.open_directory(bundle);
  struct stat status {};
  if (!folder || ::fstat(folder.get(), &status) != 0) return std::nullopt;
  TaskBundle found;
  auto process = process_in(root, bundle + "/init.pid");
  found.names = records_.look_up_task(name_space, id, process ? process->key.tgid : 0);
  if (found.names.is_users_to_write || root.is_others_to_write()) return std::nullopt;
  found.sandbox = records_.sandbox_of(found.names);
  if (!process && !found.sandbox.empty()) process = shim_of(root, name_space, found.names);
  if (!process) return std::nullopt;
  found.process = std::move(*process);
  found.folder = {status.st_dev, status.st_ino, 0, 0};
  found.root_folder = root.path() + "/" + bundle + "/rootfs";
  return found;
}

std::optional<ProcessInfo> TaskBundles::shim_of(StoreFolder& root, const std::string& name_space,
                                                const ContainerNames& names) const {
  std::vector<std::string> ids{names.container_id};
  if (const auto pod = names.labels.find("io.kubernetes.cri.sandbox-id"); pod != names.labels.end())
    ids.push_back(pod->second);
  for (const std::string& id : ids)
    if (is_safe_name(id))
      if (auto shim = process_in(root, task_bundle(name_space, id) + "/shim.pid")) return shim;
  return std::nullopt;
}

std::optional<ProcessInfo> TaskBundles::process_in(StoreFolder& root,
                                                   const std::string& file) const {
  const UniqueFd fd = root.open_file(file);
  const auto stamp = fd ? stamp_of(fd.get()) : std::nullopt;
  const auto text = root.read(file, kMaxPidBytes);
  const auto pid = stamp && text ? pid_of(*text) : std::nullopt;
  if (!pid) return std::nullopt;
  const auto line = read_file("/proc/" + std::to_string(*pid) + "/stat", kMaxStatBytes);
  const auto stat = line ? parse_process_stat(*line) : std::nullopt;
  if (!stat) return std::nullopt;
  const BootTime age = clock_.boot_now() - stat->started();
  const WallTime noted = from_unix_ns(stamp->modified_ns);
  if (clock_.wall_now() - age > noted + kTolerance) return std::nullopt;  // another one by now
  return ProcessInfo{{*pid, stat->started()}, name_in(*line)};
}

}  // namespace assay::agent
