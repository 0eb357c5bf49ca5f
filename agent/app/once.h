// SPDX-License-Identifier: Apache-2.0
// `assay-agent once`: an audit of what runs now, without a collector and without any state.
#pragma once

#include <chrono>
#include <string>

#include "agent/app/config.h"
#include "agent/app/printing.h"
#include "common/base/exit_code.h"

namespace assay::agent {

struct OnceOptions {
  std::string catalog;  ///< a file of `assay base export`; "" = the one that this node holds
  std::chrono::milliseconds timeout = std::chrono::minutes(10);
  PrintOptions print;
};

/// Loads the probe, sweeps over all tasks, reads the layers of every container that runs, and
/// prints runs and findings on stdout, messages on stderr. Beside a running agent or without one.
/// kNegative: there are findings. kUnavailable: the time was over before all was read.
ExitCode audit_once(const AgentConfig& config, const OnceOptions& options);

}  // namespace assay::agent
