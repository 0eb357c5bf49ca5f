// SPDX-License-Identifier: Apache-2.0
// `assay-agent verify`: asks the agent of this node through its unix socket.
#pragma once

#include <string>

#include "agent/app/config.h"
#include "agent/app/printing.h"
#include "common/base/exit_code.h"

namespace assay::agent {

struct VerifyCommandOptions {
  std::string target;  ///< a container or a layer, "" = all
  std::string timeout;
  PrintOptions print;
};

/// Prints what the command line `assay node verify` prints of one node, with its exit codes.
ExitCode verify_node(const AgentConfig& config, const VerifyCommandOptions& options);

}  // namespace assay::agent
