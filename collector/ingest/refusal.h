// SPDX-License-Identifier: Apache-2.0
// How a stream is ended by the collector: the status, and when to come back. Private to
// collector/ingest.
#pragma once

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <string>

#include "common/base/result.h"

namespace assay::collector {

/// `retry_after` goes into the status' details as google.rpc.RetryInfo; zero: without one.
grpc::Status status_with_retry(grpc::StatusCode code, const std::string& message,
                               std::chrono::milliseconds retry_after);

/// The status for an error of the Intake; those that pass by themselves carry `retry_after`.
grpc::Status status_of(const Error& error, std::chrono::milliseconds retry_after);

}  // namespace assay::collector
