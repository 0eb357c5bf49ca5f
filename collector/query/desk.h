// SPDX-License-Identifier: Apache-2.0
// Where unary calls come in. Private to collector/query.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>

#include "collector/core/doorkeeper.h"
#include "collector/core/principal.h"
#include "collector/core/worker_pool.h"

namespace assay::collector {

/// The status that `result` is told as.
grpc::Status status_of(const Result<void>& result);

/// Lets people in by their role, and runs what they ask on the pool. Thread-safe. Refused tries are
/// in the audit log.
class Desk {
 public:
  using Work = std::function<Result<void>(const Actor&)>;
  /// For what depends on more than the name of who asks.
  using WorkFor = std::function<Result<void>(const Principal&, const Actor&)>;

  /// `door` must outlive the desk.
  Desk(Doorkeeper& door, int threads, std::size_t max_waiting)
      : door_(door), pool_(threads, max_waiting) {}

  /// `method` as "Query.ListRuns". `work` runs once, on a thread of the pool, when the caller has
  /// the role `least`; what it refers to must live until the reactor is done.
  grpc::ServerUnaryReactor* serve(grpc::CallbackServerContext* context, const char* method,
                                  Role least, Work work);
  grpc::ServerUnaryReactor* serve_for(grpc::CallbackServerContext* context, const char* method,
                                      Role least, WorkFor work);

 private:
  Doorkeeper& door_;
  WorkerPool pool_;
};

}  // namespace assay::collector
