// SPDX-License-Identifier: Apache-2.0
// The subcommands of assay-agent.
#pragma once

#include <functional>
#include <memory>

#include "agent/app/config.h"
#include "agent/app/printing.h"
#include "agent/core/ports.h"
#include "common/base/clock.h"
#include "common/base/exit_code.h"

namespace assay::agent {

/// What `run` needs besides the configuration.
struct RunOptions {
  /// Loads the configuration again, from the same places; for SIGHUP.
  std::function<Result<config::Loaded<AgentConfig>>()> load;
  /// Makes the source of events. Errors as make_probe_source().
  std::function<Result<std::unique_ptr<EventSource>>(const AgentConfig&, const Clock&)> make_source;
};

/// `run`: until SIGTERM or SIGINT; takes a changed configuration over at SIGHUP. Prints one line on
/// stderr when it cannot.
ExitCode run_agent(const config::Loaded<AgentConfig>& loaded, const RunOptions& options);

/// `unpin`: removes the probe that a killed agent left in the kernel. kUnavailable while an agent
/// is using it.
ExitCode remove_probe(const AgentConfig& config);

/// `check`: on stdout each thing that the agent needs of this machine, whether it is there, and why
/// it matters. kMissingNeed when something is missing without which it does not work.
ExitCode check_machine(const AgentConfig& config, const PrintOptions& options);

}  // namespace assay::agent
