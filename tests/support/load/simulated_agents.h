// SPDX-License-Identifier: Apache-2.0
// Many agents at once against a real collector: each is the agent's own uplink over mTLS with a
// certificate of its own, in front of events that are made when they are sent.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace assay::tests {

struct LoadOptions {
  std::string collector;      ///< HOST:PORT
  std::string authority_dir;  ///< of `assay-collector init`; certificates are issued from it
  std::string scratch_dir;    ///< gets a folder of certificates for each agent
  std::string cluster = "load";
  std::uint32_t agents = 10;
  double events_per_second = 100;  ///< of all agents together; three events are one container
  std::chrono::seconds duration{10};
  std::uint32_t open_runs = 20;  ///< of each agent, once it has started so many
  std::uint32_t stacks = 10;     ///< different ones on each agent
  std::uint32_t layers = 8;      ///< of each stack
};

struct LoadReport {
  std::uint64_t made = 0;               ///< events, once the time was over
  std::uint64_t acknowledged = 0;       ///< of them
  std::uint64_t connects = 0;           ///< streams that were welcomed
  std::uint64_t refusals = 0;           ///< streams that the collector ended at its limit
  std::chrono::milliseconds drained{};  ///< from the end of the load to the last acknowledgement
};

/// Life: start → wait. Destroying stops all agents.
class SimulatedAgents {
 public:
  /// Issues the certificates and connects. Errors: those of issue_client.
  static std::unique_ptr<SimulatedAgents> start(const LoadOptions& options);
  virtual ~SimulatedAgents() = default;
  /// Waits until the load is over and everything is acknowledged, at most `drain_deadline` after
  /// it.
  virtual LoadReport wait(std::chrono::seconds drain_deadline) = 0;
  /// Containers that the agents have started when all is over, and that are open then.
  virtual std::uint64_t runs() const = 0;
  virtual std::uint64_t open_runs() const = 0;
};

}  // namespace assay::tests
