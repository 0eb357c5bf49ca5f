// SPDX-License-Identifier: Apache-2.0
// The root of a running container, as its own processes see it.
#pragma once

#include <memory>

#include "agent/core/ports.h"

namespace assay::agent {

/// Opens /proc/PID/root of the run's first process, or of any other one of the run when that is
/// gone. A process is held by its /proc folder, which never leads to a later one of the same
/// number, and believed when its start time is the one that the kernel told; its root, when it is
/// the superblock that the kernel told. Needs CAP_SYS_PTRACE. Thread-safe.
class ProcessRoots final : public ContainerRoots {
 public:
  Result<std::unique_ptr<ContainerRoot>> open(const ContainerStart& start) override;
};

}  // namespace assay::agent
