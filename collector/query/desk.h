// SPDX-License-Identifier: Apache-2.0
// Where unary calls come in. Private to collector/query.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>

#include "collector/core/ports.h"
#include "collector/core/principal.h"
#include "collector/core/worker_pool.h"
#include "common/base/clock.h"

namespace assay::collector {

/// The status that `result` is told as.
grpc::Status status_of(const Result<void>& result);

/// Lets people in by their role, and runs what they ask on the pool. Thread-safe. Refused tries are
/// in the audit log.
class Desk {
 public:
  using Work = std::function<Result<void>(const Actor&)>;

  Desk(Ledger& ledger, const Clock& clock, int threads, std::size_t max_waiting)
      : ledger_(ledger), clock_(clock), pool_(threads, max_waiting) {}

  /// `method` as "Query.ListRuns". `work` runs once, on a thread of the pool, when the caller has
  /// the role `least`; what it refers to must live until the reactor is done.
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext* context, const char* method,
                                  Role least, Work work);

 private:
  Ledger& ledger_;
  const Clock& clock_;
  WorkerPool pool_;
};

}  // namespace assay::collector
