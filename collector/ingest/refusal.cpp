// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/refusal.h"

#include "assay/v1/retry.pb.h"

namespace assay::collector {

grpc::Status status_with_retry(grpc::StatusCode code, const std::string& message,
                               std::chrono::milliseconds retry_after) {
  if (retry_after.count() <= 0) return {code, message};
  google::rpc::RetryInfo retry;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(retry_after);
  retry.mutable_retry_delay()->set_seconds(seconds.count());
  retry.mutable_retry_delay()->set_nanos(
      static_cast<int>(std::chrono::nanoseconds(retry_after - seconds).count()));
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  details.add_details()->PackFrom(retry);
  return {code, message, details.SerializeAsString()};
}

grpc::Status status_of(const Error& error, std::chrono::milliseconds retry_after) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      return {grpc::StatusCode::OUT_OF_RANGE, error.message};
    case ErrorCode::kLimitExceeded:
      return status_with_retry(grpc::StatusCode::RESOURCE_EXHAUSTED, error.message, retry_after);
    case ErrorCode::kUnavailable:
      return status_with_retry(grpc::StatusCode::UNAVAILABLE, error.message, retry_after);
    default:
      return {grpc::StatusCode::INTERNAL, error.message};
  }
}

}  // namespace assay::collector
