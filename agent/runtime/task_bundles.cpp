// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/task_bundles.h"

#include <sys/stat.h>
#include <unistd.h>

#include "agent/runtime/task_folder.h"
#include "common/base/file.h"
#include "common/base/process_stat.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxTasks = 4096;  // of one namespace; a kubelet runs some hundreds
constexpr std::size_t kMaxStatBytes = 4096;
// A file's time is cut to the kernel's tick, and wall clocks are set.
constexpr std::chrono::seconds kTolerance{2};

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
        if (auto bundle = read(space, path + "/" + task_bundle(space, id)))
          bundles.push_back(std::move(*bundle));
      }
  }
  return bundles;
}

std::optional<TaskBundle> TaskBundles::read(const std::string& name_space,
                                            const std::string& path) const {
  auto folder = StoreFolder::open(path);
  if (!folder) return std::nullopt;
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  TaskBundle found;
  auto process = process_in(*folder, "init.pid");
  const std::string id = path.substr(path.rfind('/') + 1);
  found.names = records_.look_up_task(name_space, id, process ? process->key.tgid : 0);
  found.sandbox = records_.recorded_sandbox(found.names);
  if (!process && !found.sandbox.empty()) process = shim_of(*folder, found.names);
  if (!process || found.names.is_users_to_write || folder->is_others_to_write())
    return std::nullopt;
  found.process = std::move(*process);
  found.folder = {status.st_dev, status.st_ino, 0, 0};
  found.root_folder = path + "/rootfs";
  return found;
}

std::optional<ProcessInfo> TaskBundles::shim_of(StoreFolder& bundle,
                                                const ContainerNames& names) const {
  if (auto own = process_in(bundle, "shim.pid")) return own;
  const auto pod = names.labels.find("io.kubernetes.cri.sandbox-id");
  if (pod == names.labels.end() || !is_safe_name(pod->second)) return std::nullopt;
  const std::string& path = bundle.path();
  auto pods = StoreFolder::open(path.substr(0, path.rfind('/') + 1) + pod->second);
  if (!pods) return std::nullopt;
  auto shim = process_in(*pods, "shim.pid");
  return pods->is_others_to_write() ? std::nullopt : shim;
}

std::optional<ProcessInfo> TaskBundles::process_in(StoreFolder& bundle,
                                                   const std::string& file) const {
  const UniqueFd fd = bundle.open_file(file);
  const auto stamp = fd ? stamp_of(fd.get()) : std::nullopt;
  const auto text = bundle.read(file, kMaxPidBytes);
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
