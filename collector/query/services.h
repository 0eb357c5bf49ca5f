// SPDX-License-Identifier: Apache-2.0
// The gRPC services that people and the command line use: Query,
// CatalogService and ScanService.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "collector/core/ports.h"
#include "common/base/clock.h"

namespace grpc {
class Service;
}

namespace assay::collector {

struct QueryOptions {
  int threads = 2;
  std::size_t max_waiting = 256;  ///< calls beyond this are refused
};

/// Thread-safe. Must outlive the gRPC server that its services are registered with.
class QueryServices {
 public:
  /// All references must outlive the services.
  static std::unique_ptr<QueryServices> create(Store& store, CatalogKeeper& keeper,
                                               const NodeDirectory& nodes, Ledger& ledger,
                                               const Clock& clock, QueryOptions options);
  virtual ~QueryServices() = default;
  virtual std::vector<grpc::Service*> services() = 0;
};

}  // namespace assay::collector
