// SPDX-License-Identifier: Apache-2.0
// Open directories held against what the kernel said of a run's root.
#pragma once

#include "agent/core/ports.h"

namespace assay::agent {

class KernelDirectories final : public DirectoryCheck {
 public:
  bool is_layer(int fd, const LowerLayer& layer) override;
  bool is_upper(int fd, const RootIdentity& root) override;
};

}  // namespace assay::agent
