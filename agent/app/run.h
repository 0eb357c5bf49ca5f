// SPDX-License-Identifier: Apache-2.0
// The subcommands of assay-agent.
#pragma once

#include "agent/app/config.h"
#include "common/base/exit_code.h"

namespace assay::agent {

/// `run`: until SIGTERM or SIGINT. Prints one line on stderr when it cannot.
ExitCode run_agent(const AgentConfig& config);

/// `unpin`: removes the probe that a killed agent left in the kernel. kUnavailable while an agent
/// is using it.
ExitCode remove_probe(const AgentConfig& config);

/// `check`: one line on stdout for each thing the agent needs of this machine.
/// kMissingNeed when something is missing without which it does not work.
ExitCode check_machine(const AgentConfig& config);

}  // namespace assay::agent
