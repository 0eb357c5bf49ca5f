// SPDX-License-Identifier: Apache-2.0
// The time that a collector asks an agent to stay away.
#pragma once

#include <chrono>
#include <string_view>

namespace assay::agent {

/// A collector may park an agent for as long as this, and not for ever.
inline constexpr std::chrono::minutes kMaxRetryDelay{10};

/// The RetryInfo in the details of a gRPC status (a serialized google.rpc.Status), at most
/// kMaxRetryDelay; zero when there is none, or when it makes no sense. Thread-safe.
std::chrono::milliseconds retry_delay_of(std::string_view details);

}  // namespace assay::agent
