// SPDX-License-Identifier: Apache-2.0
#include "agent/health/health.h"

#include <algorithm>

namespace assay::agent {
namespace {

/// In the order in which they are told. Every mode has a row in docs/metrics.md.
constexpr const char* kModes[] = {
    "probe-failed", "probe-blind", "probe-limited", "runs-refused",  "outbox-failed",
    "state-failed", "call-denied", "catalog-none",  "catalog-stale", "catalog-refused"};

std::string or_else(const std::string& text, const char* otherwise) {
  return text.empty() ? otherwise : text;
}

void add_probe_modes(const ProbeHealth& probe, std::vector<Degradation>& modes) {
  switch (probe.state) {
    case ProbeState::kClosed:
    case ProbeState::kFailed:
      modes.push_back({"probe-failed", or_else(probe.detail,
                                               "no program is attached: no start is "
                                               "seen")});
      break;
    case ProbeState::kAttached:
      modes.push_back({"probe-blind", or_else(probe.detail,
                                              "the probe has not seen its own canary "
                                              "yet")});
      break;
    case ProbeState::kSeen:
      if (!probe.detail.empty()) modes.push_back({"probe-limited", probe.detail});
      break;
  }
}

std::string stale_reason(const CatalogStatus& catalog) {
  if (!catalog.stale_reason.empty() || !catalog.expires) return catalog.stale_reason;
  return "the catalog expired at " + to_rfc3339(*catalog.expires, 0);
}

void add_catalog_modes(const CatalogStatus& catalog, std::vector<Degradation>& modes) {
  if (!catalog.head)
    modes.push_back({"catalog-none",
                     "no catalog is trusted yet: every base is "
                     "unknown"});
  if (catalog.is_stale) modes.push_back({"catalog-stale", stale_reason(catalog)});
  if (!catalog.refused.empty()) modes.push_back({"catalog-refused", catalog.refused});
}

double number(std::uint64_t value) {
  return static_cast<double>(value);
}

double seconds(WallTime time) {
  return static_cast<double>(to_unix_ns(time)) / 1e9;
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

std::vector<Degradation> degraded_modes(const AgentHealth& health) {
  std::vector<Degradation> modes;
  add_probe_modes(health.probe, modes);
  if (health.refused_runs > 0)
    modes.push_back({"runs-refused", "more runs than the agent's limit were open: " +
                                         std::to_string(health.refused_runs) +
                                         " starts were not recorded"});
  if (!health.outbox.error.empty()) modes.push_back({"outbox-failed", health.outbox.error});
  if (!health.state_error.empty()) modes.push_back({"state-failed", health.state_error});
  if (health.denied_calls > 0)
    modes.push_back(
        {"call-denied", std::to_string(health.denied_calls) +
                            " system calls were refused by the agent's own filter, " +
                            health.last_denied_call +
                            " last; report it, and set rights.seccomp: false meanwhile"});
  add_catalog_modes(health.catalog, modes);
  return modes;
}

void HealthMetrics::gauge(const std::string& name, const std::string& help, double value,
                          const service::MetricLabels& labels) {
  metrics_.gauge(name, help, labels).set(value);
}

void HealthMetrics::counter(const std::string& name, const std::string& help, std::uint64_t total,
                            const service::MetricLabels& labels) {
  metrics_.counter(name, help, labels).raise_to(number(total));
}

void HealthMetrics::update(const AgentHealth& health, const AuditorSnapshot& auditor,
                           WallTime now) {
  gauge("assay_agent_info", "Always 1; version of the agent and release of the kernel as labels", 1,
        {{"version", version_}, {"kernel", kernel_}});
  update_probe(health.probe);
  update_runs(health, auditor);
  update_rewalks(health.rewalks, auditor.tampered);
  update_verifies(health.verifies);
  update_exact(health.exact);
  update_views(health.views);
  update_delivery(health, now);
  update_catalog(health.catalog);
  update_degraded(health.degraded);
  counter("assay_agent_denied_calls_total", "System calls that the agent's own filter refused",
          health.denied_calls);
  gauge("process_resident_memory_bytes", "Resident memory size in bytes", number(health.rss_bytes));
  metrics_.counter("process_cpu_seconds_total", "User and system CPU time in seconds")
      .raise_to(std::chrono::duration<double>(health.cpu).count());
  gauge("process_start_time_seconds", "Start of the process, Unix time", seconds(health.started));
}

void HealthMetrics::update_probe(const ProbeHealth& probe) {
  gauge("assay_agent_probe_attached", "1 while the probe's programs are attached",
        is_attached(probe.state) ? 1 : 0);
  gauge("assay_agent_probe_seen", "1 once the probe has seen the agent's own canary",
        probe.state == ProbeState::kSeen ? 1 : 0);
  const LossCounters& loss = probe.loss;
  counter("assay_agent_probe_sent_total", "Records that the probe sent", loss.sent);
  const std::string lost = "Records that did not reach the agent";
  for (const auto& [kind, count] :
       {std::pair{"start", loss.lost_starts}, std::pair{"layers", loss.lost_layers},
        std::pair{"end", loss.lost_ends}, std::pair{"notice", loss.lost_notices},
        std::pair{"exec", loss.lost_execs}, std::pair{"recursion", loss.recursion_misses},
        std::pair{"map", loss.map_failures()}})
    counter("assay_agent_probe_lost_total", lost, count, {{"kind", kind}});
  const std::string held_back = "Records that a budget held back";
  counter("assay_agent_probe_held_back_total", held_back, loss.held_back_execs, {{"kind", "exec"}});
  counter("assay_agent_probe_held_back_total", held_back, loss.held_back_starts,
          {{"kind", "start"}});
  counter("assay_agent_probe_untold_total", "Starts of which nothing will be told any more",
          loss.gone());
}

void HealthMetrics::update_runs(const AgentHealth& health, const AuditorSnapshot& auditor) {
  gauge("assay_agent_runs", "Runs that are open", number(auditor.running));
  using enum catalog::VerdictStatus;
  for (const auto status : {kApproved, kDeprecated, kRevoked, kExpired, kUnknown, kPending}) {
    const auto found = auditor.running_by_verdict.find(status);
    gauge("assay_agent_runs_by_verdict", "Runs that are open, by the agent's own verdict",
          found == auditor.running_by_verdict.end() ? 0 : number(found->second),
          {{"verdict", std::string(catalog::to_string(status))}});
  }
  counter("assay_agent_starts_total", "Starts of containers", auditor.starts);
  counter("assay_agent_late_starts_total", "Starts that only a sweep found", auditor.late_starts);
  counter("assay_agent_ends_total", "Ends of containers", auditor.ends);
  counter("assay_agent_refused_runs_total", "Starts beyond the limit of open runs",
          auditor.refused_runs);
  gauge("assay_agent_layers_pending", "Layers that wait for a digest",
        number(health.layers_pending));
  counter("assay_agent_queue_dropped_total", "Records dropped between the probe and the auditor",
          health.queue_dropped);
}

void HealthMetrics::update_verifies(const VerifyCounts& verifies) {
  counter("assay_agent_verify_orders_total", "Orders to verify that were taken", verifies.orders);
  counter("assay_agent_verify_refused_total", "Orders to verify when too many waited",
          verifies.refused);
  counter("assay_agent_verify_layers_total", "Layers that were read again on demand",
          verifies.layers);
  counter("assay_agent_verify_changed_total", "Of them, those that were not as recorded",
          verifies.changed);
  counter("assay_agent_verify_failed_total", "Of them, those at which nobody could look",
          verifies.failed);
  gauge("assay_agent_verify_waiting", "Orders to verify that are not done yet",
        number(verifies.waiting));
}

void HealthMetrics::update_views(const ViewCounts& views) {
  counter("assay_agent_views_total", "Looks into the roots of containers", views.looks);
  counter("assay_agent_view_paths_total", "Paths of bases that were looked at in containers",
          views.paths);
  counter("assay_agent_view_differing_total", "Looks that found masked paths of a base",
          views.differing);
  counter("assay_agent_view_gone_total", "Looks that came after the container had gone",
          views.gone);
  counter("assay_agent_view_failed_total", "Looks that could not see what they had to",
          views.failed);
  gauge("assay_agent_view_waiting", "Containers that wait to be looked into",
        number(views.waiting));
  metrics_.counter("assay_agent_view_seconds_total", "Time that looking took, in seconds")
      .raise_to(std::chrono::duration<double>(views.busy).count());
}

void HealthMetrics::update_rewalks(const RewalkCounts& rewalks, std::uint64_t tampered) {
  counter("assay_agent_rewalks_total", "Layers that were walked again", rewalks.walks);
  counter("assay_agent_rewalk_entries_total", "Paths that were looked at again", rewalks.entries);
  counter("assay_agent_rewalk_files_read_total", "Files that were hashed again",
          rewalks.files_read);
  counter("assay_agent_rewalk_changed_total", "Paths in layers that are not what they were",
          rewalks.changed);
  counter("assay_agent_rewalk_touched_total",
          "Paths in layers with another change time and nothing else", rewalks.touched);
  counter("assay_agent_rewalk_failed_total", "Layers that could not be walked again",
          rewalks.failed);
  counter("assay_agent_rewalk_unrecorded_total",
          "Walks left out: no record is kept of layers on that file system", rewalks.unrecorded);
  counter("assay_agent_rewalk_evicted_total",
          "Records of layers that went because their table was full", rewalks.evicted);
  gauge("assay_agent_rewalk_waiting", "Layers that wait to be walked again",
        number(rewalks.waiting));
  metrics_.counter("assay_agent_rewalk_seconds_total", "Time that walking again took, in seconds")
      .raise_to(std::chrono::duration<double>(rewalks.busy).count());
  counter("assay_agent_tampered_total", "Layers that were found changed under running containers",
          tampered);
}

void HealthMetrics::update_exact(const ExactCounts& exact) {
  const std::string help = "Checks of layers by their tar streams, by what they found";
  const std::pair<const char*, std::uint64_t> outcomes[] = {{"exact", exact.exact},
                                                            {"differs", exact.differs},
                                                            {"no-source", exact.no_source},
                                                            {"failed", exact.failed}};
  for (const auto& [outcome, total] : outcomes)
    counter("assay_agent_exact_checks_total", help, total, {{"outcome", outcome}});
  counter("assay_agent_exact_bytes_total", "Bytes of tar streams that were read", exact.bytes);
  gauge("assay_agent_exact_waiting", "Layers that wait to be proven", number(exact.waiting));
  metrics_.counter("assay_agent_exact_seconds_total", "Time that proving took, in seconds")
      .raise_to(std::chrono::duration<double>(exact.busy).count());
}

void HealthMetrics::update_delivery(const AgentHealth& health, WallTime now) {
  const OutboxStatus& outbox = health.outbox;
  gauge("assay_agent_outbox_events", "Events on disk that are not acknowledged",
        number(outbox.events));
  gauge("assay_agent_outbox_bytes", "Their bytes, with the descriptions of stacks",
        number(outbox.bytes));
  gauge("assay_agent_outbox_oldest_age_seconds", "Age of the oldest of them, 0 without any",
        outbox.oldest ? std::max(0.0, seconds(now) - seconds(*outbox.oldest)) : 0);
  counter("assay_agent_outbox_dropped_total", "Events lost to the outbox's limit or a failing disk",
          outbox.dropped);
  gauge("assay_agent_collector_connected", "1 while the stream to the collector is up",
        health.uplink.state == UplinkState::kConnected ? 1 : 0);
  counter("assay_agent_config_reloads_total", "Times that SIGHUP asked for a new configuration",
          health.config_reloads);
  gauge("assay_agent_config_reload_ok", "0 when the last new configuration was refused",
        health.is_config_ok ? 1 : 0);
  counter("assay_agent_collector_connects_total", "Streams that the collector welcomed",
          health.uplink.connects);
}

void HealthMetrics::update_catalog(const CatalogStatus& catalog) {
  gauge("assay_agent_catalog_sequence", "Sequence of the catalog in use, 0 without one",
        number(catalog.sequence));
  gauge("assay_agent_catalog_stale", "1 when the catalog's head or freshness mark has expired",
        catalog.is_stale ? 1 : 0);
  gauge("assay_agent_catalog_expires_seconds", "When it expires, Unix time, 0 without one",
        catalog.expires ? seconds(*catalog.expires) : 0);
}

void HealthMetrics::update_degraded(const std::vector<Degradation>& degraded) {
  for (const std::string mode : kModes) {
    const bool is_on = std::any_of(degraded.begin(), degraded.end(),
                                   [&](const Degradation& one) { return one.mode == mode; });
    gauge("assay_agent_degraded", "1 while the agent works in this degraded mode", is_on ? 1 : 0,
          {{"mode", mode}});
  }
}

}  // namespace assay::agent
