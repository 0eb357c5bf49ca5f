// SPDX-License-Identifier: Apache-2.0
// What runs by the runtimes' records, in the auditor's terms.
#pragma once

#include <set>

#include "agent/core/ports.h"
#include "agent/runtime/task_bundles.h"

namespace assay::agent {

/// Joins the bundles with what their mounts say of the layers. Used by one thread.
class NodeRecords final : public RecordedContainers {
 public:
  explicit NodeRecords(TaskBundles bundles) : bundles_(std::move(bundles)) {}

  std::vector<RecordedContainer> list(
      const std::function<bool(const std::string& id)>& is_known) override;

 private:
  TaskBundles bundles_;
  std::set<RunKey> listed_;  // the last time: their layers were told
};

}  // namespace assay::agent
