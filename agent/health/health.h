// SPDX-License-Identifier: Apache-2.0
// What /readyz, heartbeats and /metrics say of the agent.
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

/// What the agent cannot do now, or does in a weaker way, and why; `health.degraded` is not read.
std::vector<Degradation> degraded_modes(const AgentHealth& health);

/// The agent's Prometheus metrics (docs/metrics.md), set from a snapshot when they are asked for.
/// Not thread-safe: of the HTTP thread.
class HealthMetrics {
 public:
  HealthMetrics(service::Metrics& metrics, std::string version, std::string kernel)
      : metrics_(metrics), version_(std::move(version)), kernel_(std::move(kernel)) {}

  /// `now`: what ages are counted to.
  void update(const AgentHealth& health, const AuditorSnapshot& auditor, WallTime now);

 private:
  void gauge(const std::string& name, const std::string& help, double value,
             const service::MetricLabels& labels = {});
  void counter(const std::string& name, const std::string& help, std::uint64_t total,
               const service::MetricLabels& labels = {});
  void update_probe(const ProbeHealth& probe);
  void update_runs(const AgentHealth& health, const AuditorSnapshot& auditor);
  void update_rewalks(const RewalkCounts& rewalks, std::uint64_t tampered);
  void update_exact(const ExactCounts& exact);
  void update_delivery(const AgentHealth& health, WallTime now);
  void update_catalog(const CatalogStatus& catalog);
  void update_degraded(const std::vector<Degradation>& degraded);

  service::Metrics& metrics_;
  const std::string version_;
  const std::string kernel_;
};

}  // namespace assay::agent
