// SPDX-License-Identifier: Apache-2.0
// Walks the layers of running containers again and again, and finds those that were changed.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "agent/core/outgoing.h"
#include "agent/core/ports.h"
#include "agent/identify/record_keeping.h"
#include "agent/identify/worker_pool.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/image/fingerprint.h"

namespace assay::agent {

struct RewalkOptions {
  /// Between two walks of one layer; 0: none is walked again.
  std::chrono::milliseconds interval = std::chrono::minutes(10);
  std::size_t max_waiting = 50'000;  ///< layers; more wait for the next round
  image::FingerprintLimits limits;
  image::RecordLimits record_limits;
};

/// One idle-priority thread, one layer at a time. Thread-safe. Destroying it stops a walk between
/// two files and drops what waits; callbacks never run after the destructor returned.
class LayerRewalker final : public LayerWatch {
 public:
  struct Ports {
    LayerOpener& opener;
    LayerRecords& records;
    const Clock& clock;
    /// Gives the layers that runs stand on to the callback; later, on any thread, or never.
    std::function<void(std::function<void(std::vector<LayerTask>)>)> find_running;
    /// On the walking thread; again with every walk of a layer that was ever found changed.
    std::function<void(const LayerTampering&)> on_tampering;
    /// A layer could not be walked, or not be recorded; may be empty.
    std::function<void(const LayerTask&, const Error&)> on_failure = {};
  };
  LayerRewalker(Ports ports, const RewalkOptions& options);
  ~LayerRewalker() override;

  void on_start(const LayerTask& task) override;
  /// About once a second: begins a round over all running layers when one is due.
  void on_tick();
  /// Walks all running layers now, whenever they were walked last.
  void walk_all();
  /// Walks one layer now, whenever it was walked last.
  void walk_now(const LayerTask& task);
  void set_interval(std::chrono::milliseconds interval);
  /// Of layers whose walk begins from now on.
  void set_limits(const image::FingerprintLimits& limits);

  RewalkCounts counts() const;

 private:
  enum class Reason { kStart, kRound, kDemand };
  struct Walked {
    BootTime last{};                                 ///< when its walk was queued
    std::optional<catalog::LayerInstance> instance;  ///< once it was opened
    std::uint64_t missing = 0;                       ///< walks that found no record of it
  };

  void round(Reason reason);
  void take(const std::vector<LayerTask>& layers, Reason reason);
  void queue(const LayerTask& task, Reason reason);
  bool is_due(const Walked& walked, BootTime now) const ASSAY_REQUIRES(mutex_);
  void walk(const LayerTask& task, Reason reason, const std::stop_token& stop);
  Result<void> walk_layer(const LayerTask& task, Reason reason, const std::stop_token& stop);
  Result<void> walk_open(const LayerTask& task, const Layer& layer, Reason reason,
                         const std::stop_token& stop);
  Result<image::NodeRecord> record(const Layer& layer, image::Dialect dialect,
                                   const image::NodeRecord* before, bool& is_over,
                                   const std::stop_token& stop);
  Result<void> gone(const LayerTask& task, const Error& error);
  Result<void> too_large(const LayerTask& task, const catalog::LayerInstance& instance,
                         const PastRecord& past, bool is_over, const Error& error);
  void still_too_large(const LayerTask& task, const std::string& tampered);
  Result<void> note(const LayerTask& task, const catalog::LayerInstance& instance,
                    const KeptRecord& kept, const KeptRecord& now);
  bool may_begin_record(const LayerTask& task, Reason reason);
  void tell(const LayerTask& task, const RecordOutcome& outcome);

  const Ports ports_;
  mutable Mutex mutex_;
  RewalkOptions options_ ASSAY_GUARDED_BY(mutex_);
  std::map<LayerRef, Walked> walked_ ASSAY_GUARDED_BY(mutex_);
  std::set<LayerRef> waiting_ ASSAY_GUARDED_BY(mutex_);  // queued or being walked
  BootTime next_round_ ASSAY_GUARDED_BY(mutex_){};
  RewalkCounts counts_ ASSAY_GUARDED_BY(mutex_);
  std::unique_ptr<WorkerPool> worker_;  // last, so that it is joined first
};

}  // namespace assay::agent
