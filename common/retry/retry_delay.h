// SPDX-License-Identifier: Apache-2.0
// The time that a collector asks to stay away, in the details of a gRPC status.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace assay {

/// A collector may park a client for as long as this, and not for ever.
inline constexpr std::chrono::minutes kMaxRetryDelay{10};

/// The RetryInfo in the details of a gRPC status (a serialized google.rpc.Status), at most
/// kMaxRetryDelay; zero when there is none, or when it makes no sense. Thread-safe.
std::chrono::milliseconds retry_delay_of(std::string_view details);

/// Such details: a google.rpc.Status with this code and message, and the delay (> 0).
std::string retry_details(int code, const std::string& message, std::chrono::milliseconds delay);

}  // namespace assay
