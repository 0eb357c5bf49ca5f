// SPDX-License-Identifier: Apache-2.0
// What a directory that somebody names as a layer is, in the terms in which the kernel names them.
#pragma once

#include <string>

#include "agent/core/ports.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Looks `name` up as if `root` were "/": links of a store may be absolute or point upward. O_PATH;
/// empty when there is no such directory.
UniqueFd open_in_root(const UniqueFd& root, const std::string& name);

/// Looks `name` (absolute) up as if `root` ("/", or /proc/PID/root) were "/" and describes the
/// directory: name, device, inode, generation, kind of file system.
/// Errors: kNotFound, kUnsupported (a file system that is not read), kUnavailable.
Result<LowerLayer> describe_layer(const std::string& root, const std::string& name);

}  // namespace assay::agent
