// SPDX-License-Identifier: Apache-2.0
#include "collector/ingest/refusal.h"

#include "common/retry/retry_delay.h"

namespace assay::collector {

grpc::Status status_with_retry(grpc::StatusCode code, const std::string& message,
                               std::chrono::milliseconds retry_after) {
  if (retry_after.count() <= 0) return {code, message};
  return {code, message, retry_details(static_cast<int>(code), message, retry_after)};
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
