// SPDX-License-Identifier: Apache-2.0
// What the agent does for root on its own node, without any collector: gRPC on a unix socket.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "agent/core/verify_orders.h"
#include "agent/local/local_socket.h"

namespace assay::agent {

struct LocalServerPorts {
  VerifyOrders& orders;
  /// An order came, or a connection was refused (`refusal` says why). Any thread.
  std::function<void(const std::string& target)> on_order;
  std::function<void(const SocketPeer& peer)> on_refused;
};

/// Serves until it is destroyed; orders that are being worked on are cancelled then. Thread-safe.
class LocalServer {
 public:
  /// Errors: those of listen_locally(); kInternal.
  static Result<std::unique_ptr<LocalServer>> start(const std::string& path,
                                                    LocalServerPorts ports);
  virtual ~LocalServer() = default;
};

/// Asks the agent that listens at `path`; blocks until the last event, at most the order's time and
/// some seconds. Errors: those of connect_locally(); kUnavailable (the agent went away, or did not
/// answer in time), kPermissionDenied (it refuses this user).
Result<void> verify_locally(const std::string& path, const VerifyOrder& order,
                            const std::function<void(const catalog::VerifyEvent&)>& on_event);

}  // namespace assay::agent
