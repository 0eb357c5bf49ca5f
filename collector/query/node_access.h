// SPDX-License-Identifier: Apache-2.0
// The gRPC service by which people let nodes in and keep them out: for the role admin.
#pragma once

#include <memory>
#include <string>

#include "collector/core/doorkeeper.h"
#include "collector/core/enrolment_book.h"

namespace grpc {
class Service;
}

namespace assay::collector {

/// Thread-safe. Must outlive the gRPC server that its service is registered with.
class NodeAccessService {
 public:
  /// All references must outlive the service. `cluster`: of tokens that name none.
  static std::unique_ptr<NodeAccessService> create(EnrolmentBook& book,
                                                   const NodeCertifier& certifier,
                                                   NodeCommands& nodes, Doorkeeper& door,
                                                   const Clock& clock, std::string cluster);
  virtual ~NodeAccessService() = default;
  virtual grpc::Service& service() = 0;
};

}  // namespace assay::collector
