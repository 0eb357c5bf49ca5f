// SPDX-License-Identifier: Apache-2.0
// The collector's counts as Prometheus metrics, brought up to date at each scrape.
#pragma once

#include <atomic>
#include <cstddef>
#include <map>
#include <string>

#include "collector/core/commit_loop.h"
#include "common/service/metrics.h"

namespace assay::collector {

/// Used by one thread (the HTTP server's); count_reload() by any.
class MetricsExport {
 public:
  std::string text(const CommitLoop& loop, const NodeDirectory& nodes, const CatalogKeeper& keeper);

  void count_reload(bool is_ok) {
    is_last_reload_ok_ = is_ok;
    ++reloads_;
  }

 private:
  void count(const char* name, const char* help, std::uint64_t value);
  void gauge(const char* name, const char* help, double value);

  service::Metrics metrics_;
  std::map<std::string, std::uint64_t> last_;
  std::atomic<std::uint64_t> reloads_{0};
  std::atomic<bool> is_last_reload_ok_{true};
};

}  // namespace assay::collector
