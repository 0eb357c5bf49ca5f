// SPDX-License-Identifier: Apache-2.0
// What this machine says of itself.
#pragma once

#include <string>

#include "common/base/result.h"

namespace assay::agent {

/// Random, new with every boot. Errors: kNotFound, kPermissionDenied (no /proc).
Result<std::string> read_boot_id();

/// As `uname -r` prints it; "" when it cannot be read.
std::string kernel_release();

/// The host's name, "" when it cannot be read.
std::string host_name();

}  // namespace assay::agent
