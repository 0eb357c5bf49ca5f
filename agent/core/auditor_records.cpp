// SPDX-License-Identifier: Apache-2.0
// Containers that run by their runtimes' records and whose processes the kernel does not show on a
// root of their own: sandboxes with kernels of their own, and whatever the probe missed.
#include <algorithm>
#include <set>
#include <utility>

#include "agent/core/auditor.h"

namespace assay::agent {
namespace {

// Between a container's record and its first exec a runtime takes tens of milliseconds, on a loaded
// node seconds; and sweeps come close together where containers end. A record that cannot be read
// for a moment ends nothing.
constexpr std::chrono::seconds kRecordPatience{10};
constexpr std::chrono::seconds kBetweenReads{2};  // of small files, on the way of all starts

}  // namespace

void Auditor::look_at_records(BootTime now) {
  if (ports_.recorded == nullptr || (records_read_ && now - *records_read_ < kBetweenReads)) return;
  records_read_ = now;
  std::set<std::string> shown;  // by names that the kernel agrees with: others may be borrowed
  for (const auto& [key, run] : runs_)
    if (!run.recorded && (run.told.names.are_confirmed() || run.told.kind == RunKind::kVmSandbox))
      shown.insert(run.told.names.container_id);
  std::map<RunKey, BootTime> doubtful;
  for (RecordedContainer& found :
       ports_.recorded->list([&](const std::string& id) { return shown.contains(id); })) {
    const RunKey key = found.start.key;
    if (const auto known = runs_.find(key); known != runs_.end()) {
      known->second.recorded = now;
      continue;
    }
    const bool is_sure = !found.start.sandbox.empty() || resumed_.contains(key);
    if (!is_sure && is_shown(found)) continue;
    // Else it may be on its way between its record and its root.
    const auto before = doubtful_records_.find(key);
    const BootTime since = before == doubtful_records_.end() ? now : before->second;
    if (!is_sure && now - since < kRecordPatience)
      doubtful.emplace(key, since);
    else
      open_named_run(std::move(found.start), std::move(found.names));
  }
  doubtful_records_ = std::move(doubtful);
  std::vector<RunKey> ended;
  for (const auto& [key, run] : runs_)
    if (run.recorded && now - *run.recorded >= kRecordPatience) ended.push_back(key);
  for (const RunKey& key : ended)
    close_run(key, *runs_.at(key).recorded, /*is_approximate=*/true);
}

bool Auditor::is_shown(const RecordedContainer& container) const {
  const std::uint32_t process = container.start.process.key.tgid;
  return std::any_of(runs_.begin(), runs_.end(), [&](const auto& entry) {
    const auto& [key, run] = entry;
    if (run.recorded) return false;
    return run.first_process.tgid == process || key.root.device == container.root_device;
  });
}

}  // namespace assay::agent
