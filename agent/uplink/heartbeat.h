// SPDX-License-Identifier: Apache-2.0
// The agent's health as a heartbeat tells it. Private to agent/uplink.
#pragma once

#include "agent/core/outgoing.h"
#include "assay/v1/agent.pb.h"

namespace assay::agent {

/// All but the time, the number and the sequences, which are the stream's.
void fill_heartbeat(const AgentHealth& health, v1::Heartbeat& beat);

}  // namespace assay::agent
