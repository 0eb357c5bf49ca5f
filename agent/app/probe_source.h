// SPDX-License-Identifier: Apache-2.0
// The BPF probe with the settings of the configuration.
#pragma once

#include <memory>

#include "agent/app/config.h"
#include "agent/core/ports.h"
#include "common/base/clock.h"

namespace assay::agent {

/// Loads the programs. `clock` outlives the source.
/// Errors: kPermissionDenied, kUnsupported, each with what to do.
Result<std::unique_ptr<EventSource>> make_probe_source(const AgentConfig& config,
                                                       const Clock& clock);

}  // namespace assay::agent
