// SPDX-License-Identifier: Apache-2.0
// The life of one node as its auditor would record it, made of a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "agent/core/ports.h"

namespace assay::tests {

struct RecordedEvent {
  agent::AgentEvent event;
  std::shared_ptr<const catalog::Stack> stack;  ///< that the event names, else null
};

/// Runs that start, gain evidence, get names, execute and end, gaps, and now and then a full state.
/// Times are `start` and a little later.
std::vector<RecordedEvent> make_life(const std::string& cluster, const std::string& node,
                                     std::uint32_t seed, int steps, WallTime start);

}  // namespace assay::tests
