// SPDX-License-Identifier: Apache-2.0
// What /readyz and /metrics say of the agent.
#pragma once

#include <string>
#include <vector>

#include "agent/core/auditor.h"
#include "agent/core/outgoing.h"
#include "common/service/metrics.h"

namespace assay::agent {

/// One line for each reason why the agent is not ready: the probe has not seen its own canary, or
/// events cannot be kept. A collector that is away is none: the agent judges and keeps without it.
std::vector<std::string> not_ready_reasons(const AgentHealth& health);

/// The agent's Prometheus metrics, set from a snapshot when they are asked for. Thread-safe.
class HealthMetrics {
 public:
  explicit HealthMetrics(service::Metrics& metrics) : metrics_(metrics) {}

  void update(const AgentHealth& health, const AuditorSnapshot& auditor);

 private:
  void set(const std::string& name, const std::string& help, double value,
           const service::MetricLabels& labels = {});

  service::Metrics& metrics_;
};

}  // namespace assay::agent
