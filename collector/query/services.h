// SPDX-License-Identifier: Apache-2.0
// The gRPC services that people and the command line use: Query, CatalogService, ScanService,
// Planning, Triage and Access.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <vector>

#include "collector/core/doorkeeper.h"
#include "collector/core/ports.h"
#include "common/base/clock.h"

namespace grpc {
class Service;
}

namespace assay::collector {

/// How far away the ends may be that people choose.
struct PeopleLimits {
  std::chrono::nanoseconds max_token_lifetime = std::chrono::hours(365 * 24);
  std::chrono::nanoseconds max_mute = std::chrono::hours(90 * 24);
};

struct QueryOptions {
  int threads = 2;
  std::size_t max_waiting = 256;  ///< calls beyond this are refused
  PeopleLimits people = {};
};

/// Thread-safe. Must outlive the gRPC server that its services are registered with.
class QueryServices {
 public:
  /// All references must outlive the services.
  static std::unique_ptr<QueryServices> create(Store& store, CatalogKeeper& keeper,
                                               const NodeDirectory& nodes, Ledger& ledger,
                                               Doorkeeper& door, const Clock& clock,
                                               QueryOptions options);
  virtual ~QueryServices() = default;
  virtual std::vector<grpc::Service*> services() = 0;
  /// For calls that come from now on. Thread-safe.
  virtual void set_limits(PeopleLimits limits) = 0;
};

}  // namespace assay::collector
