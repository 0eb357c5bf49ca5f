// SPDX-License-Identifier: Apache-2.0
// One container made with system calls alone: clone, overlay, pivot_root, exec.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::starter {

struct ContainerSpec {
  std::vector<std::string> lowers;   ///< absolute layer directories, top first, at least one
  std::string hostname;              ///< of its own UTS namespace
  std::vector<std::string> command;  ///< argv; looked up in PATH inside the container
};

struct StartedContainer {
  pid_t pid = 0;       ///< of its first process, in the caller's pid namespace
  WallTime exec_time;  ///< right before its execve
};

/// Checks what start_container would trip over: absolute layers that exist and that overlayfs's
/// option string can carry. Errors: kInvalidArgument, kNotFound.
Result<void> check(const ContainerSpec& spec);

/// Starts a container in mount, pid, UTS and IPC namespaces of its own and returns once it has
/// exec'ed. Its upper layer lies on a tmpfs inside its mount namespace, so nothing of it is left
/// when its last process ends; its first process is killed when the caller dies. The caller reaps
/// `pid`. Needs CAP_SYS_ADMIN and a single-threaded caller. Blocks for the few milliseconds this
/// takes. Errors: kPermissionDenied, kNotFound (the command), kUnavailable, naming the step that
/// failed.
Result<StartedContainer> start_container(const ContainerSpec& spec);

}  // namespace assay::starter
