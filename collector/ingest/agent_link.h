// SPDX-License-Identifier: Apache-2.0
// The gRPC service that agents connect to: one bidirectional stream per agent.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "collector/core/ports.h"
#include "common/base/clock.h"

namespace grpc {
class Service;
}

namespace assay::collector {

struct AgentLinkOptions {
  std::string version;  ///< of the collector, told to agents
  std::chrono::seconds heartbeat_interval{10};
  std::size_t max_in_flight_bytes = 4ULL << 20;  ///< of one agent, read and not yet committed
};

/// Who is let in, and what agents are told to believe.
struct Enrolling {
  const NodeAdmission& admission;
  const NodeCertifier& certifier;
};

/// Thread-safe. Must outlive the gRPC server that its service is registered with.
class AgentLink {
 public:
  /// All references must outlive the link.
  static std::unique_ptr<AgentLink> create(Intake& intake, const CatalogKeeper& keeper,
                                           Ledger& ledger, const Enrolling& enrolling,
                                           const Clock& clock, AgentLinkOptions options);
  virtual ~AgentLink() = default;
  virtual grpc::Service& service() = 0;
  /// Sends the keeper's log to every connected agent.
  virtual void push_catalog() = 0;
  /// Sends the keeper's freshness mark to every connected agent.
  virtual void push_mark() = 0;
  /// Sends the trusted authorities to every connected agent that keeps others.
  virtual void push_trust() = 0;
  /// Ends the streams of agents whose certificate's time is over.
  virtual void end_expired() = 0;
  virtual std::size_t connected() const = 0;
  virtual NodeCommands& commands() = 0;
  /// The interval is told to agents that connect from now on.
  virtual void set_limits(std::chrono::seconds heartbeat_interval,
                          std::size_t max_in_flight_bytes) = 0;
};

}  // namespace assay::collector
