// SPDX-License-Identifier: Apache-2.0
#include "common/retry/retry_delay.h"

#include <algorithm>

#include "assay/v1/retry.pb.h"

namespace assay {

std::chrono::milliseconds retry_delay_of(std::string_view details) {
  constexpr std::size_t kMaxDetailBytes = 64 << 10;  // gRPC's trailers are smaller
  google::rpc::Status status;
  if (details.empty() || details.size() > kMaxDetailBytes ||
      !status.ParseFromArray(details.data(), static_cast<int>(details.size())))
    return {};
  for (const auto& detail : status.details()) {
    google::rpc::RetryInfo retry;
    if (!detail.Is<google::rpc::RetryInfo>() || !detail.UnpackTo(&retry)) continue;
    const std::int64_t longest_s = std::chrono::seconds(kMaxRetryDelay).count();
    const std::int64_t seconds =
        std::clamp<std::int64_t>(retry.retry_delay().seconds(), 0, longest_s);
    const std::int64_t ms = std::clamp(retry.retry_delay().nanos() / 1'000'000, 0, 999);
    return std::min<std::chrono::milliseconds>(
        std::chrono::seconds(seconds) + std::chrono::milliseconds(ms), kMaxRetryDelay);
  }
  return {};
}

std::string retry_details(int code, const std::string& message, std::chrono::milliseconds delay) {
  google::rpc::RetryInfo retry;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(delay);
  retry.mutable_retry_delay()->set_seconds(seconds.count());
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int>(std::chrono::nanoseconds(delay - seconds).count()));
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(retry);
  return details.SerializeAsString();
}

}  // namespace assay
