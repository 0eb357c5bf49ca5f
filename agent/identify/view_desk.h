// SPDX-License-Identifier: Apache-2.0
// Looks into the roots of runs, one after another in the background.
#pragma once

#include <atomic>
#include <stop_token>
#include <vector>

#include "agent/core/outgoing.h"
#include "agent/core/ports.h"
#include "agent/identify/merged_view.h"
#include "agent/identify/worker_pool.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/pacer.h"

namespace assay::agent {

/// One idle-priority thread that takes no more than about a tenth of a core. Thread-safe.
/// Destroying it stops a look between two folders and drops what waits; callbacks never run after
/// the destructor returned.
class ViewDesk final : public ViewChecker {
 public:
  struct Ports {
    LayerOpener& opener;
    ContainerRoots& roots;
    const Clock& clock;
  };
  explicit ViewDesk(Ports ports, const ViewLimits& limits = {});
  ~ViewDesk() override;

  void check(ViewTask task, Callback on_report) override;
  ViewCounts counts() const;

 private:
  /// The layers of a task and the container's root, open for one look.
  struct Opened;

  void look(const ViewTask& task, const Callback& on_report, const std::stop_token& stop);
  Result<catalog::View> look_into(const ViewTask& task, const ContainerRoot& root,
                                  const std::stop_token& stop);
  Result<Opened> open_layers(const ViewTask& task);
  void count(const ViewReport& report, std::chrono::nanoseconds busy);

  const Ports ports_;
  const ViewLimits limits_;
  mutable Mutex mutex_;
  ViewCounts counts_ ASSAY_GUARDED_BY(mutex_);
  std::atomic<std::uint64_t> waiting_{0};
  Pacer pacer_;        // the worker's
  WorkerPool worker_;  // last, so that it is joined first
};

}  // namespace assay::agent
