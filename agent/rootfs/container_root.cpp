// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/container_root.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "agent/rootfs/file_system.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"
#include "common/base/process_stat.h"
#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxMountinfoBytes = 4U << 20;
constexpr std::size_t kMaxMounts = 10'000;
constexpr std::size_t kMaxProcesses = 32'768;  // looked at when the first one is gone
constexpr std::size_t kMaxStatBytes = 4096;
constexpr std::size_t kMaxCgroupBytes = 64U << 10;
constexpr int kOpenFolder = O_PATH | O_DIRECTORY | O_CLOEXEC;

Error gone(const std::string& what) {
  return {ErrorCode::kNotFound, what};
}

/// An error of a look-up in /proc/PID: a process that is gone answers so.
Error process_error(const std::string& what) {
  const int code = errno;
  if (code == ESRCH || code == ENOENT) return gone("the process is gone");
  return system_error(what, code);
}

/// What a root directory is, without asking whoever serves its file system.
struct RootState {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool is_mount = false;
  bool operator==(const RootState&) const = default;
};

Result<RootState> state_of(int folder, const char* name) {
  struct statx status {};
  const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(folder, name, flags, STATX_TYPE | STATX_INO, &status) != 0)
    return process_error("stat the root of a process");
  const bool is_mount = (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  return RootState{makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino, is_mount};
}

Result<ProcessStat> stat_of(int folder) {
  auto text = read_file_at(folder, "stat", kMaxStatBytes);
  if (!text) return text.error().sys_errno == ESRCH ? gone("the process is gone") : text.error();
  const auto stat = parse_process_stat(*text);
  if (!stat) return Error{ErrorCode::kCorrupt, "/proc/PID/stat cannot be read"};
  return *stat;
}

class OpenRoot final : public ContainerRoot {
 public:
  OpenRoot(UniqueFd process, std::uint64_t ticks, UniqueFd root, RootState state)
      : process_(std::move(process)), ticks_(ticks), root_(std::move(root)), state_(state) {}

  int fd() const override { return root_.get(); }
  const std::vector<CoveringMount>& mounts() const override { return mounts_; }
  Result<void> check() const override {
    ASSAY_ASSIGN(const ProcessStat stat, stat_of(process_.get()));
    ASSAY_ASSIGN(const RootState now, state_of(process_.get(), "root"));
    if (stat.start_ticks != ticks_ || now != state_) return gone("the process has another root now");
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

/// Whether the root is the one that the kernel told of.
Result<void> check_root(const RootState& state, int fd, int process, const RootIdentity& root) {
  std::uint64_t device = state.device;
  if (device != root.device && has_anonymous_devices(root.magic)) {
    ASSAY_ASSIGN(device, superblock_device_of(fd, "/proc/self/fd/" + std::to_string(process)));
  }
  // Of an overlay the kernel names the upper directory; a process may sit in a folder of the root.
  const bool is_same = root.magic == kMagicOverlay ? state.is_mount : state.inode == root.inode;
  if (device != root.device || !is_same) return gone("its process stands in another root by now");
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
  auto opened = std::make_unique<OpenRoot>(std::move(process), stat.start_ticks, std::move(root), state);
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
