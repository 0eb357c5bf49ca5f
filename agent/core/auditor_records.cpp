// SPDX-License-Identifier: Apache-2.0
// Containers that run by their runtimes' records and whose processes the kernel does not show on a
// root of their own: sandboxes with kernels of their own, and whatever the probe missed.
#include <algorithm>
#include <set>
#include <utility>

#include "agent/core/auditor.h"

namespace assay::agent {

void Auditor::look_at_records(BootTime now) {
  if (ports_.recorded == nullptr) return;
  std::set<std::string> shown;
  for (const auto& [key, run] : runs_)
    if (!run.is_recorded) shown.insert(run.told.names.container_id);
  std::set<RunKey> live;
  std::set<RunKey> doubtful;
  for (RecordedContainer& found :
       ports_.recorded->list([&](const std::string& id) { return shown.contains(id); })) {
    const RunKey key = found.start.key;
    if (!live.insert(key).second || runs_.contains(key)) continue;
    if (found.start.sandbox.empty()) {
      if (is_shown(found)) continue;
      doubtful.insert(key);  // it may be on its way between its record and its root
      if (!doubtful_records_.contains(key)) continue;
    }
    open_named_run(std::move(found.start), std::move(found.names));
  }
  doubtful_records_ = std::move(doubtful);
  std::vector<RunKey> ended;
  for (const auto& [key, run] : runs_)
    if (run.is_recorded && !live.contains(key)) ended.push_back(key);
  for (const RunKey& key : ended)
    close_run(key, now, /*is_approximate=*/true);
}

bool Auditor::is_shown(const RecordedContainer& container) const {
  const std::uint32_t process = container.start.process.key.tgid;
  return std::any_of(runs_.begin(), runs_.end(), [&](const auto& entry) {
    const auto& [key, run] = entry;
    if (run.is_recorded) return false;
    return run.first_process.tgid == process || key.root.device == container.root_device;
  });
}

}  // namespace assay::agent
