// SPDX-License-Identifier: Apache-2.0
// A unix socket that only root, and the user that runs the agent, may use.
#pragma once

#include <sys/types.h>

#include <string>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Who is at the other end, as the kernel says (SO_PEERCRED, unix(7)).
struct SocketPeer {
  pid_t pid = 0;
  uid_t uid = 0;
};
/// Errors: kUnavailable.
Result<SocketPeer> peer_of(int fd);
/// Root, or whoever this process runs as.
bool is_trusted(const SocketPeer& peer);

/// Listens at `path`, mode 0600, in a folder that is made with mode 0700, or that only its owner
/// may enter. What a dead agent left there is replaced.
/// Errors: kInvalidArgument (too long, not absolute), kUntrusted (others may enter the folder, or
/// it is another user's), kAlreadyExists (no socket lies there), kUnavailable (an agent listens
/// there), kPermissionDenied.
Result<UniqueFd> listen_locally(const std::string& path);

/// A connection to the agent that listens at `path`; non-blocking.
/// Errors: kUnavailable (no agent listens there), kPermissionDenied, kUntrusted (another user
/// listens there).
Result<UniqueFd> connect_locally(const std::string& path);

}  // namespace assay::agent
