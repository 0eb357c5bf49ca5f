// SPDX-License-Identifier: Apache-2.0
// Roots whose layers must be asked for in user space.
#pragma once

#include <chrono>

#include "agent/core/ports.h"

namespace assay::agent {

/// Looks at the kind of the root's superblock and asks who knows its layers. Used by one thread.
class UserStacks final : public StackFinder {
 public:
  /// Looking for the program that serves a FUSE root means a look at every process (about 10 us
  /// each), and any user can mount FUSE file systems: beyond `max_searches` a second a root is left
  /// as it is, and so becomes an unsupported one.
  explicit UserStacks(unsigned int max_searches = 20) : max_searches_(max_searches) {}
  void complete(ContainerStart& start) override;

 private:
  bool may_search();

  const unsigned int max_searches_;
  unsigned int searches_ = 0;  // in the second that began then
  std::chrono::steady_clock::time_point second_{};
};

}  // namespace assay::agent
