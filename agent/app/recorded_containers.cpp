// SPDX-License-Identifier: Apache-2.0
#include "agent/app/recorded_containers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/rootfs/mounted_stack.h"

namespace assay::agent {
namespace {

/// 0 when the process is gone. Asks nobody who serves a file system.
std::uint64_t root_device_of(std::uint32_t process) {
  struct statx status {};
  const std::string root = "/proc/" + std::to_string(process) + "/root";
  const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
  if (::statx(AT_FDCWD, root.c_str(), flags, STATX_TYPE, &status) != 0) return 0;
  return makedev(status.stx_dev_major, status.stx_dev_minor);
}

RecordedContainer describe(TaskBundle bundle) {
  RecordedContainer container;
  container.start.key.root = bundle.folder;
  container.start.cause = StartCause::kRecord;
  container.start.time = bundle.process.key.start;
  container.start.sandbox = std::move(bundle.sandbox);
  container.root_device = root_device_of(bundle.process.key.tgid);
  container.start.process = std::move(bundle.process);
  container.names = std::move(bundle.names);
  return container;
}

}  // namespace

std::vector<RecordedContainer> NodeRecords::list(
    const std::function<bool(const std::string& id)>& is_known) {
  std::vector<RecordedContainer> containers;
  std::set<RunKey> listed;
  for (TaskBundle& bundle : bundles_.list(is_known)) {
    const std::string root_folder = bundle.root_folder;
    containers.push_back(describe(std::move(bundle)));
    ContainerStart& start = containers.back().start;
    listed.insert(start.key);
    if (!start.sandbox.empty() && !listed_.contains(start.key))
      complete_from_mount(start, root_folder);
  }
  listed_ = std::move(listed);
  return containers;
}

}  // namespace assay::agent
