// SPDX-License-Identifier: Apache-2.0
// The agent's own seccomp filter: which system calls it can still make once it runs.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/result.h"

namespace assay::agent {

/// Puts the filter on all threads of this process, for good; sets no_new_privs. A call that is not
/// in it fails with EPERM and is counted: a wrong list must not stop the agent, and must not stay
/// hidden either. Call it once, when all is started. Errors: kUnsupported (a kernel without
/// seccomp), kUnavailable.
Result<void> filter_calls();

struct DeniedCalls {
  std::uint64_t count = 0;
  std::string last;  ///< its name, or its number
};
/// Since the filter is there. Thread-safe.
DeniedCalls denied_calls();

}  // namespace assay::agent
