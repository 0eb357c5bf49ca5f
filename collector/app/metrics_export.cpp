// SPDX-License-Identifier: Apache-2.0
#include "collector/app/metrics_export.h"

#include "common/service/process_stats.h"

namespace assay::collector {

void MetricsExport::count(const char* name, const char* help, std::uint64_t value) {
  std::uint64_t& last = last_[name];
  metrics_.counter(name, help).add(static_cast<double>(value - last));
  last = value;
}

void MetricsExport::gauge(const char* name, const char* help, double value) {
  metrics_.gauge(name, help).set(value);
}

std::string MetricsExport::text(const CommitLoop& loop, const NodeDirectory& nodes,
                                const CatalogKeeper& keeper) {
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
  count("assay_collector_refused_submissions_total",
        "Messages of agents refused because too much waited for its commit", commits.refused);
  count("assay_collector_judged_rounds_total", "Rounds in which everything was judged again",
        commits.judged_rounds);
  gauge("assay_collector_commit_seconds_sum", "Time spent in write transactions, in seconds",
        static_cast<double>(commits.commit_ns) / 1e9);
  gauge("assay_collector_queued_bytes", "Bytes that wait for their commit",
        static_cast<double>(commits.queued_bytes));
  gauge("assay_collector_is_judging", "1 while stacks are left to judge again",
        loop.is_judging() ? 1 : 0);
  gauge("assay_collector_catalog_sequence", "Sequence of the catalog's log",
        static_cast<double>(keeper.sequence()));
  count("assay_collector_config_reloads_total", "Times that SIGHUP asked for a new configuration",
        reloads_);
  gauge("assay_collector_config_reload_ok", "0 when the last new configuration was refused",
        is_last_reload_ok_ ? 1 : 0);
  double connected = 0;
  const auto all = nodes.nodes();
  for (const auto& node : all)
    connected += node.is_connected ? 1 : 0;
  gauge("assay_collector_nodes", "Nodes that were ever connected", static_cast<double>(all.size()));
  gauge("assay_collector_connected_nodes", "Nodes that are connected", connected);
  if (const auto stats = service::read_process_stats()) {
    gauge("process_resident_memory_bytes", "Resident memory size in bytes",
          static_cast<double>(stats->rss_bytes));
    gauge("process_cpu_seconds_total", "User and system CPU time in seconds",
          static_cast<double>(stats->cpu_time.count()) / 1e9);
  }
  return metrics_.to_text();
}

}  // namespace assay::collector
