// SPDX-License-Identifier: Apache-2.0
#include "agent/health/health.h"

namespace assay::agent {
namespace {

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

}  // namespace

std::vector<std::string> not_ready_reasons(const AgentHealth& health) {
  std::vector<std::string> reasons;
  if (health.probe.state != ProbeState::kSeen) {
    std::string reason = "probe: " + std::string(to_string(health.probe.state));
    if (!health.probe.detail.empty()) reason += " (" + health.probe.detail + ")";
    reasons.push_back(std::move(reason));
  }
  if (!health.outbox.error.empty()) reasons.push_back("outbox: " + health.outbox.error);
  return reasons;
}

void HealthMetrics::set(const std::string& name, const std::string& help, double value,
                        const service::MetricLabels& labels) {
  metrics_.gauge(name, help, labels).set(value);
}

void HealthMetrics::update(const AgentHealth& health, const AuditorSnapshot& auditor) {
  set("assay_agent_probe_state", "0 closed, 1 attached, 2 seen, 3 failed",
      static_cast<double>(health.probe.state));
  set("assay_agent_probe_sent", "Records that the probe sent", number(health.probe.loss.sent));
  const LossCounters& loss = health.probe.loss;
  const std::string lost = "Records that the probe lost";
  for (const auto& [kind, count] :
       {std::pair{"start", loss.lost_starts}, std::pair{"layers", loss.lost_layers},
        std::pair{"end", loss.lost_ends}, std::pair{"notice", loss.lost_notices},
        std::pair{"exec", loss.lost_execs}, std::pair{"recursion", loss.recursion_misses},
        std::pair{"map", loss.map_failures()}})
    set("assay_agent_probe_lost", lost, number(count), {{"kind", kind}});
  const std::string held_back = "Records that a budget held back";
  set("assay_agent_probe_held_back", held_back, number(loss.held_back_execs), {{"kind", "exec"}});
  set("assay_agent_probe_held_back", held_back, number(loss.held_back_starts), {{"kind", "start"}});
  set("assay_agent_probe_ended_untold", "Runs that ended before anything could be told of them",
      number(loss.ended_untold));

  set("assay_agent_queue_dropped", "Events dropped before the auditor",
      number(health.queue_dropped));

  set("assay_agent_runs", "Runs that are open", number(auditor.running));
  for (const auto& [status, count] : auditor.running_by_verdict)
    set("assay_agent_runs_by_verdict", "Runs that are open, by the agent's verdict", number(count),
        {{"verdict", std::string(catalog::to_string(status))}});
  set("assay_agent_starts", "Starts since the agent started", number(auditor.starts));
  set("assay_agent_starts_late", "Starts that a sweep found", number(auditor.late_starts));
  set("assay_agent_ends", "Ends since the agent started", number(auditor.ends));
  set("assay_agent_layers_pending", "Layers being identified", number(health.layers_pending));

  set("assay_agent_outbox_events", "Events not acknowledged", number(health.outbox.events));
  set("assay_agent_outbox_bytes", "Their bytes on disk", number(health.outbox.bytes));
  set("assay_agent_outbox_dropped", "Events lost to the outbox's limit",
      number(health.outbox.dropped));
  set("assay_agent_collector_connected", "1 while the stream to the collector is up",
      health.uplink.state == UplinkState::kConnected ? 1 : 0);
  set("assay_agent_collector_connects", "Streams since the agent started",
      number(health.uplink.connects));
  set("assay_agent_catalog_sequence", "Of the catalog in use", number(health.catalog.sequence));
  set("assay_agent_catalog_stale", "1 when the catalog's head has expired",
      health.catalog.is_stale ? 1 : 0);
  set("assay_agent_resident_bytes", "Memory of the process", number(health.rss_bytes));
  set("assay_agent_cpu_seconds", "CPU time of the process",
      std::chrono::duration<double>(health.cpu).count());
}

}  // namespace assay::agent
