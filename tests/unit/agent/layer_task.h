// SPDX-License-Identifier: Apache-2.0
// A layer to open, as a start on the host's own namespaces names it.
#pragma once

#include <cstdint>
#include <string>

#include "agent/core/ports.h"

namespace assay::agent::tests {

inline LayerTask task_for(const std::string& path, std::uint64_t inode = 7) {
  LayerTask task;
  task.layer.name = path;
  task.layer.device = 1;
  task.layer.inode = inode;
  task.layer.generation = 5;
  task.start.is_overlay = true;
  task.start.in_host_user_namespace = true;
  return task;
}

}  // namespace assay::agent::tests
