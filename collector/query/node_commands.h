// SPDX-License-Identifier: Apache-2.0
// The gRPC service by which people command nodes: for the role admin, each command in the log.
#pragma once

#include <memory>

#include "collector/core/doorkeeper.h"
#include "collector/core/ports.h"
#include "common/base/clock.h"

namespace grpc {
class Service;
}

namespace assay::collector {

/// Thread-safe. Must outlive the gRPC server that its service is registered with.
class NodeCommandService {
 public:
  /// All references must outlive the service.
  static std::unique_ptr<NodeCommandService> create(Doorkeeper& door, NodeCommands& commands,
                                                    const NodeDirectory& nodes, Ledger& ledger,
                                                    const Clock& clock);
  virtual ~NodeCommandService() = default;
  virtual grpc::Service& service() = 0;
};

/// The node that `name` (NAME in any cluster, or CLUSTER/NAME) means, and that it is connected.
/// Errors: kNotFound, kInvalidArgument (several clusters have one), kUnavailable (not connected,
/// with when it was heard of last).
Result<NodeKey> find_connected_node(const std::string& name, const std::vector<NodeView>& nodes);

}  // namespace assay::collector
