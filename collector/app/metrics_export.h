// SPDX-License-Identifier: Apache-2.0
// The collector's counts as Prometheus metrics (docs/metrics.md), brought up to date at each
// scrape.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "collector/app/port_gate.h"
#include "collector/core/commit_loop.h"
#include "common/service/metrics.h"

namespace assay::collector {

/// Used by one thread (the HTTP server's); count_reload() by any.
class MetricsExport {
 public:
  struct Context {
    WallTime now{};
    std::uint64_t memory_limit_bytes = 0;
    PortCounts port = {};
    std::optional<FindingCounts> findings = {};  ///< none: they could not be counted
  };
  std::string text(const CommitLoop& loop, const NodeDirectory& nodes, const CatalogKeeper& keeper,
                   const Context& context);

  void count_reload(bool is_ok) {
    is_last_reload_ok_ = is_ok;
    ++reloads_;
  }

 private:
  void count(const char* name, const char* help, std::uint64_t value);
  void gauge(const char* name, const char* help, double value,
             const service::MetricLabels& labels = {});
  void export_commits(const CommitLoop& loop);
  void export_states(const ReconcilerCounts& counts);
  void export_nodes(const std::vector<NodeView>& nodes, WallTime now);
  void export_port(const PortCounts& port);
  void export_findings(const FindingCounts& counts);
  void export_process(std::uint64_t memory_limit_bytes);

  service::Metrics metrics_;
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<bool> is_last_reload_ok_{true};
};

}  // namespace assay::collector
