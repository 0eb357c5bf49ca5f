// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/container_root.h"

#include <dirent.h>
#include <fcntl.h>

#include "agent/rootfs/file_system.h"
#include "agent/rootfs/mount_table.h"
#include "agent/rootfs/process_state.h"
#include "common/base/file.h"
#include "common/base/process_stat.h"
#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxMountinfoBytes = 4U << 20;
constexpr std::size_t kMaxMounts = 10'000;
constexpr std::size_t kMaxProcesses = 32'768;  // looked at when the first one is gone
constexpr std::size_t kMaxCgroupBytes = 64U << 10;
constexpr int kOpenFolder = O_PATH | O_DIRECTORY | O_CLOEXEC;

class OpenRoot final : public ContainerRoot {
 public:
  OpenRoot(UniqueFd process, std::uint64_t ticks, UniqueFd root, RootState state)
      : process_(std::move(process)), ticks_(ticks), root_(std::move(root)), state_(state) {}

  int fd() const override { return root_.get(); }
  const std::vector<CoveringMount>& mounts() const override { return mounts_; }
  Result<void> check() const override {
    ASSAY_ASSIGN(const ProcessStat stat, stat_of(process_.get()));
    ASSAY_ASSIGN(const RootState now, state_of(process_.get(), "root"));
    if (stat.start_ticks != ticks_ || now != state_)
      return gone("the process has another root now");
    return ok();
  }
  Result<void> read_mounts();

 private:
  const UniqueFd process_;  // its folder in /proc
  const std::uint64_t ticks_;
  const UniqueFd root_;
  const RootState state_;
  std::vector<CoveringMount> mounts_;
};

Result<void> OpenRoot::read_mounts() {
  auto text = read_file_at(process_.get(), "mountinfo", kMaxMountinfoBytes);
  if (!text) return std::move(text.error()).with_context("its mounts");
  for (const MountEntry& entry : parse_mountinfo(*text)) {
    if (entry.mount_point == "/") continue;
    if (mounts_.size() >= kMaxMounts)
      return Error{ErrorCode::kLimitExceeded,
                   "it has more than " + std::to_string(kMaxMounts) + " mounts"};
    mounts_.push_back({entry.mount_point.substr(1), entry.type + " " + entry.root});
  }
  return ok();
}

Result<std::unique_ptr<ContainerRoot>> open_of(const std::string& pid, const ContainerStart& start,
                                               std::optional<BootTime> started) {
  UniqueFd process(::open(("/proc/" + pid).c_str(), kOpenFolder));
  if (!process) return process_error("open /proc/" + pid);
  ASSAY_ASSIGN(const ProcessStat stat, stat_of(process.get()));
  if (started && !stat.has_started_at(*started))
    return gone("the number of its process is another's now");
  UniqueFd root(::openat(process.get(), "root", kOpenFolder));
  if (!root) return process_error("open the root of process " + pid);
  ASSAY_ASSIGN(const RootState state, state_of(root.get(), ""));
  ASSAY_TRY(check_root(state, root.get(), process.get(), start.key.root));
  auto opened =
      std::make_unique<OpenRoot>(std::move(process), stat.start_ticks, std::move(root), state);
  ASSAY_TRY(opened->read_mounts());
  return std::unique_ptr<ContainerRoot>(std::move(opened));
}

bool is_in_cgroup(const std::string& pid, const std::string& cgroup_path) {
  const auto text = read_file("/proc/" + pid + "/cgroup", kMaxCgroupBytes);
  return text && !cgroup_path.empty() && text->find(":" + cgroup_path + "\n") != std::string::npos;
}

/// Another process of the run: on the same superblock, in the same cgroup.
Result<std::unique_ptr<ContainerRoot>> open_any(const ContainerStart& start) {
  const auto close = [](DIR* directory) { ::closedir(directory); };
  const std::unique_ptr<DIR, decltype(close)> proc(::opendir("/proc"), close);
  if (!proc) return system_error("open /proc");
  std::size_t looked = 0;
  while (const dirent* entry = ::readdir(proc.get())) {
    const std::string pid = entry->d_name;
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    if (++looked > kMaxProcesses) break;
    const auto state = state_of(AT_FDCWD, ("/proc/" + pid + "/root").c_str());
    if (!state || state->device != start.key.root.device) continue;
    if (!is_in_cgroup(pid, start.cgroup_path)) continue;
    if (auto opened = open_of(pid, start, std::nullopt)) return opened;
  }
  return gone("no process of the run is left");
}

}  // namespace

Result<std::unique_ptr<ContainerRoot>> ProcessRoots::open(const ContainerStart& start) {
  const ProcessKey& first = start.process.key;
  if (first.tgid == 0) return gone("no process of the run is known");
  auto opened = open_of(std::to_string(first.tgid), start, first.start);
  const bool is_gone = !opened && opened.error().code == ErrorCode::kNotFound;
  if (!is_gone || start.key.root.magic != kMagicOverlay) return opened;
  // With the init of a pid namespace all its processes went.
  if (start.namespace_pids.size() > 1 && start.namespace_pids.back() == 1) return opened;
  return open_any(start);
}

}  // namespace assay::agent
