// SPDX-License-Identifier: Apache-2.0
// The system calls that a running agent makes. Private to agent/confine.
#pragma once

#include <span>

namespace assay::agent {

/// Allowed with any arguments; names that this machine's architecture does not have are left out.
std::span<const char* const> allowed_calls();

}  // namespace assay::agent
