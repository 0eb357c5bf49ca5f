// SPDX-License-Identifier: Apache-2.0
// The BPF probe with the settings of the configuration.
#pragma once

#include <memory>

#include "agent/app/config.h"
#include "agent/core/ports.h"
#include "common/base/clock.h"

namespace assay::agent {

/// Where an agent with this configuration pins its probe; "" for nowhere. Agents with other state
/// folders have other folders.
std::string pin_folder(const AgentConfig& config);

/// Loads the programs, or adopts those that a killed agent left. `clock` outlives the source.
/// Errors: kPermissionDenied, kUnsupported, each with what to do.
Result<std::unique_ptr<EventSource>> make_probe_source(const AgentConfig& config,
                                                       const Clock& clock);

/// The same for a recorder: never pinned, with a copy of all that is read for `tap`.
Result<std::unique_ptr<EventSource>> make_recording_source(const AgentConfig& config,
                                                           const Clock& clock, ProbeTap& tap);
/// How old a task that executed nothing must be before a sweep tells of its root.
std::chrono::milliseconds never_executed_age();

}  // namespace assay::agent
