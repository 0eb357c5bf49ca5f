// SPDX-License-Identifier: Apache-2.0
#include "collector/app/metrics_export.h"

#include <algorithm>
#include <map>

#include "common/service/process_stats.h"

namespace assay::collector {

void MetricsExport::count(const char* name, const char* help, std::uint64_t value) {
  metrics_.counter(name, help).raise_to(static_cast<double>(value));
}

void MetricsExport::gauge(const char* name, const char* help, double value,
                          const service::MetricLabels& labels) {
  metrics_.gauge(name, help, labels).set(value);
}

std::string MetricsExport::text(const CommitLoop& loop, const NodeDirectory& nodes,
                                const CatalogKeeper& keeper, const Context& context) {
  export_commits(loop);
  export_states(loop.reconciler_counts());
  export_nodes(nodes.nodes(), context.now);
  gauge("assay_collector_catalog_sequence", "Sequence of the catalog's log",
        static_cast<double>(keeper.sequence()));
  count("assay_collector_config_reloads_total", "Times that SIGHUP asked for a new configuration",
        reloads_);
  gauge("assay_collector_config_reload_ok", "0 when the last new configuration was refused",
        is_last_reload_ok_ ? 1 : 0);
  export_port(context.port);
  if (context.findings) export_findings(*context.findings);
  export_process(context.memory_limit_bytes);
  return metrics_.to_text();
}

void MetricsExport::export_commits(const CommitLoop& loop) {
  const CommitCounts& commits = loop.counts();
  const RecorderCounts& recorder = loop.recorder_counts();
  count("assay_collector_events_total", "Events committed", recorder.events);
  count("assay_collector_duplicate_events_total", "Events that were there already",
        recorder.duplicates);
  count("assay_collector_stray_events_total", "Events of runs or stacks that are not known",
        recorder.strays);
  count("assay_verdict_differences_total",
        "Verdicts of agents that differ from the collector's at the same catalog sequence",
        recorder.verdict_differences);
  count("assay_collector_commits_total", "Write transactions", commits.commits);
  count("assay_collector_failed_commits_total", "Write transactions that failed",
        commits.failed_commits);
  count("assay_collector_refused_messages_total",
        "Messages of agents refused at the limits of memory", commits.refused);
  count("assay_collector_identity_conflicts_total",
        "Times that two agents gave themselves for one node", commits.conflicts);
  count("assay_collector_judged_rounds_total", "Rounds in which everything was judged again",
        commits.judged_rounds);
  metrics_
      .counter("assay_collector_commit_seconds_total",
               "Time spent in write transactions, in seconds")
      .raise_to(static_cast<double>(commits.commit_ns) / 1e9);
  for (const Aged kind : kAgedKinds)
    metrics_
        .counter("assay_collector_removed_rows_total", "Rows removed because they were over",
                 {{"kind", std::string(to_string(kind))}})
        .raise_to(static_cast<double>(loop.retainer().removed(kind)));
  gauge("assay_collector_queued_bytes", "Memory of events that wait for their commit",
        static_cast<double>(loop.held_bytes()));
  gauge("assay_collector_is_judging", "1 while stacks are left to judge again",
        loop.is_judging() ? 1 : 0);
}

void MetricsExport::export_states(const ReconcilerCounts& counts) {
  count("assay_collector_gaps_total", "Gaps in what nodes told, each of them a finding",
        counts.gaps);
  count("assay_collector_state_requests_total", "Full states of nodes that were asked for",
        counts.requests);
  count("assay_collector_states_total", "Full states that were told and taken in", counts.states);
  count("assay_collector_torn_states_total", "Full states that were not whole and asked for again",
        counts.torn);
  count("assay_collector_runs_added_total", "Runs that a full state added", counts.added);
  count("assay_collector_runs_reopened_total", "Runs held for ended that a full state told of",
        counts.reopened);
  count("assay_collector_runs_ended_total",
        "Runs that ended because a full state did not tell them", counts.ended);
}

void MetricsExport::export_nodes(const std::vector<NodeView>& nodes, WallTime now) {
  std::map<NodePresence, double> by_presence;
  double degraded = 0, lost = 0, late = 0, stale = 0, outbox_bytes = 0, oldest_age_s = 0;
  for (const NodeView& node : nodes) {
    const Heartbeat& beat = node.heartbeat;
    by_presence[node.presence] += 1;
    degraded += beat.degraded.empty() ? 0 : 1;
    stale += beat.catalog_is_stale ? 1 : 0;
    lost += static_cast<double>(beat.probe_lost + beat.queue_dropped);
    late += static_cast<double>(beat.late_starts);
    outbox_bytes += static_cast<double>(beat.outbox_bytes);
    if (beat.outbox_oldest_ns != 0)
      oldest_age_s = std::max(oldest_age_s,
                              static_cast<double>(to_unix_ns(now) - beat.outbox_oldest_ns) / 1e9);
  }
  for (const auto presence : {NodePresence::kConnected, NodePresence::kAway, NodePresence::kSilent})
    gauge("assay_collector_nodes", "Nodes that were ever connected, by how they are now",
          by_presence[presence], {{"state", std::string(to_string(presence))}});
  gauge("assay_collector_degraded_nodes", "Nodes whose agent works in a degraded mode", degraded);
  gauge("assay_collector_stale_nodes", "Nodes whose catalog has expired", stale);
  gauge("assay_collector_nodes_lost_records",
        "Records and events that agents lost since they started, of all nodes", lost);
  gauge("assay_collector_nodes_late_starts",
        "Starts that only a sweep found since the agents started, of all nodes", late);
  gauge("assay_collector_nodes_outbox_bytes", "What agents hold undelivered, of all nodes",
        outbox_bytes);
  gauge("assay_collector_nodes_oldest_event_age_seconds",
        "Age of the oldest event that any agent holds undelivered", oldest_age_s);
}

void MetricsExport::export_port(const PortCounts& port) {
  gauge("assay_collector_connections", "Connections of agents and people",
        static_cast<double>(port.connections));
  gauge("assay_collector_unproven_connections", "Of them, those that have shown no identity yet",
        static_cast<double>(port.unproven));
  count("assay_collector_connections_total", "Connections that were let in", port.accepted);
  for (std::size_t i = 0; i < kRefusals; ++i)
    metrics_
        .counter("assay_collector_refused_connections_total",
                 "Connections refused at a limit, by the limit",
                 {{"limit", std::string(to_string(static_cast<Refusal>(i)))}})
        .raise_to(static_cast<double>(port.refused[i]));
  for (std::size_t i = 0; i < kCuts; ++i)
    metrics_
        .counter("assay_collector_cut_connections_total",
                 "Connections without an identity that were ended, by the limit",
                 {{"limit", std::string(to_string(static_cast<Cut>(i)))}})
        .raise_to(static_cast<double>(port.cut[i]));
  count("assay_collector_port_starved_total",
        "Times that no connection could be taken for want of descriptors or memory", port.starved);
}

void MetricsExport::export_findings(const FindingCounts& counts) {
  for (const auto& [word, number] :
       {std::pair{"new", counts.open - counts.acknowledged - counts.muted},
        std::pair{"acknowledged", counts.acknowledged}, std::pair{"muted", counts.muted}})
    gauge("assay_collector_findings", "Open findings, by what people did about them",
          static_cast<double>(number), {{"triage", word}});
}

void MetricsExport::export_process(std::uint64_t memory_limit_bytes) {
  gauge("assay_collector_memory_limit_bytes", "limits.memory",
        static_cast<double>(memory_limit_bytes));
  const auto stats = service::read_process_stats();
  if (!stats) return;
  gauge("process_resident_memory_bytes", "Resident memory size in bytes",
        static_cast<double>(stats->rss_bytes));
  metrics_.counter("process_cpu_seconds_total", "User and system CPU time in seconds")
      .raise_to(static_cast<double>(stats->cpu_time.count()) / 1e9);
}

}  // namespace assay::collector
