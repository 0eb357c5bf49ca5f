// SPDX-License-Identifier: Apache-2.0
// Between the agent's values and the bytes of common/wire. Payloads are what the outbox stores.
#pragma once

#include <string>
#include <string_view>

#include "agent/core/ports.h"
#include "common/base/clock.h"

namespace assay::agent {

/// The moment an event is encoded at, on both clocks: boot times go on the wire as Unix times.
struct EncodingTime {
  WallTime wall{};
  BootTime boot{};

  WallTime to_wall(BootTime time) const { return wall - (boot - time); }
};

/// A serialized assay.v1.Event without its sequence. Text that is not UTF-8 is escaped as \xNN:
/// what a container controls may be any bytes, proto3 strings may not. Thread-safe.
std::string encode_event(const AgentEvent& event, const EncodingTime& time);

/// When `event` happened; events that do not carry a time happened at `now`.
WallTime time_of(const AgentEvent& event, WallTime now);

/// A serialized assay.v1.ContainerNames, and back. Errors: kCorrupt.
std::string encode_names(const ContainerNames& names);
Result<ContainerNames> decode_names(std::string_view bytes);

/// The JSON form of an encoded event (proto3 JSON mapping), for people and for tests.
/// Errors: kCorrupt.
Result<std::string> event_to_json(std::string_view event);

/// A serialized assay.v1.Stack. Cluster and node are not in it: they are the stream's.
std::string encode_stack(const catalog::Stack& stack);
/// Errors: kCorrupt.
Result<catalog::Stack> decode_stack(std::string_view bytes);

}  // namespace assay::agent
