// SPDX-License-Identifier: Apache-2.0
// From the agent's messages to the collector's values, within limits: what is too long is cut, what
// makes no sense is left out, so that no agent can make a row that breaks another's work.
#pragma once

#include <optional>

#include "assay/v1/agent.pb.h"
#include "collector/core/events.h"

namespace assay::collector {

/// `node`: of the certificate; it becomes part of every stack's digest. A malformed event keeps its
/// sequence and loses its body.
Batch from_wire(const v1::EventBatch& batch, const NodeKey& node);
Batch from_wire(const v1::StackDescriptions& stacks, const NodeKey& node);
/// Nothing when it names no stack; bytes that are no file set become a gap.
std::optional<Batch> from_wire(const v1::FileSetAnswer& in);
Heartbeat from_wire(const v1::Heartbeat& heartbeat);
AgentInfo from_wire(const v1::Hello& hello);

}  // namespace assay::collector
