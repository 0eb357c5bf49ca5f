// SPDX-License-Identifier: Apache-2.0
// Roots whose layers must be asked for in user space.
#pragma once

#include "agent/core/ports.h"

namespace assay::agent {

/// Looks at the kind of the root's superblock and asks who knows its layers. Thread-safe.
class UserStacks final : public StackFinder {
 public:
  void complete(ContainerStart& start) override;
};

}  // namespace assay::agent
