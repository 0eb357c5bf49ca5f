// SPDX-License-Identifier: Apache-2.0
// Containers that run by containerd's bundles on disk (docker's too), whether or not a process of
// theirs shows a root of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "agent/runtime/disk_records.h"
#include "agent/runtime/store_folder.h"
#include "common/base/clock.h"

namespace assay::agent {

/// One bundle whose container lives, as far as its processes tell.
struct TaskBundle {
  ContainerNames names;
  std::string sandbox;      ///< see RuntimeRecords::sandbox_of()
  RootIdentity folder;      ///< the bundle's own folder: no two live ones share it
  ProcessInfo process;      ///< the container's first on this host; of a sandbox else its shim
  std::string root_folder;  ///< where the runtime mounts the container's root, on the host
};

/// Not thread-safe. Reads small files of the runtimes' folders; everything in them is hostile.
class TaskBundles {
 public:
  /// Both outlive the bundles. `containerd`: state folders, as in RuntimeRoots.
  TaskBundles(std::vector<std::string> containerd, DiskRecords& records, const Clock& clock)
      : roots_(std::move(containerd)), records_(records), clock_(clock) {}

  using IsKnown = std::function<bool(const std::string& id)>;
  /// At most 4,096 of a namespace. Nothing is read of those whose container id is known already,
  /// and what someone but root may write is passed over.
  std::vector<TaskBundle> list(const IsKnown& is_known);

 private:
  /// Each bundle by a folder of its own: one that others may write says nothing of the next.
  std::optional<TaskBundle> read(const std::string& name_space, const std::string& path) const;
  /// The shim of a sandbox, which serves all containers of a pod.
  std::optional<ProcessInfo> shim_of(StoreFolder& bundle, const ContainerNames& names) const;
  /// The process whose number stands in `file`, when it lives and is not younger than the file.
  std::optional<ProcessInfo> process_in(StoreFolder& bundle, const std::string& file) const;

  const std::vector<std::string> roots_;
  DiskRecords& records_;
  const Clock& clock_;
};

}  // namespace assay::agent
