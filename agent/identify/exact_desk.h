// SPDX-License-Identifier: Apache-2.0
// Proves layers of running containers by their tar streams: in the background each once, then at an
// interval; and whenever somebody asks.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "agent/core/exact.h"
#include "agent/core/outgoing.h"
#include "agent/identify/layer_prover.h"
#include "agent/identify/worker_pool.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/image/fingerprint.h"

namespace assay::agent {

struct ExactOptions {
  bool is_on = true;  ///< in the background; whoever asks is always answered
  /// Between two checks of one layer; 0: each once.
  std::chrono::milliseconds interval = std::chrono::hours(24);
  std::size_t max_waiting = 10'000;     ///< layers; more come with a later look
  std::size_t max_remembered = 50'000;  ///< layers that were checked
  image::FingerprintLimits limits;
};

/// One idle-priority thread, one layer at a time. Thread-safe. Destroying it stops a check between
/// two reads and drops what waits; callbacks never run after the destructor returned.
class ExactDesk final : public ExactChecker {
 public:
  using WantsProof = std::function<bool(const LayerRef& ref, bool is_exact)>;
  struct Ports {
    LayerProver::Ports prover;
    LayerCache& cache;
    const Clock& clock;
    /// Gives those of the layers that may be proven and are wanted to the callback; later, on any
    /// thread, or never.
    std::function<void(WantsProof, std::function<void(std::vector<LayerTask>)>)> find_layers;
    /// What was found, on the thread that checks. Nothing: what was proven before is not any more.
    std::function<void(const LayerRef&, const std::optional<LayerExact>&)> on_proof;
    std::function<void(const LayerMismatch&)> on_mismatch;
    std::function<void(const LayerUnproven&)> on_unproven;
    /// A directory that is not what its stream says: the node's own record may know more.
    std::function<void(const LayerTask&)> on_changed;
    std::function<void(const LayerTask&, const Error&)> on_failure;  ///< in the background
  };
  ExactDesk(Ports ports, const ExactOptions& options);
  ~ExactDesk() override;

  Result<ExactOutcome> check(const LayerTask& task, const std::stop_token& stop) override;
  /// About once a second: looks for layers that were not checked yet when it is time.
  void on_tick();
  /// Of checks that begin from now on.
  void set_options(bool is_on, std::chrono::milliseconds interval,
                   const image::FingerprintLimits& limits);

  ExactCounts counts() const;

 private:
  /// When a layer is looked at again although nothing was found out: what costs nothing soon.
  enum class Retry { kAtInterval, kSoon, kLater };
  struct Checked {
    BootTime last{};
    Retry retry = Retry::kAtInterval;
  };
  static Retry retry_of(const Result<ExactOutcome>& outcome);

  bool wants(const LayerRef& ref, bool is_exact);
  void take(const std::vector<LayerTask>& layers);
  void run(const LayerTask& task, const std::stop_token& stop);
  Result<ExactOutcome> check_and_tell(const LayerTask& task, const std::stop_token& stop);
  void keep(const LayerRef& ref, const Proof& proof);
  void count(const ExactOutcome& outcome);
  void forget_old() ASSAY_REQUIRES(mutex_);

  const Ports ports_;
  const LayerProver prover_;
  mutable Mutex mutex_;
  ExactOptions options_ ASSAY_GUARDED_BY(mutex_);
  std::map<LayerRef, Checked> checked_ ASSAY_GUARDED_BY(mutex_);
  std::set<LayerRef> waiting_ ASSAY_GUARDED_BY(mutex_);  // queued or being checked
  BootTime next_look_ ASSAY_GUARDED_BY(mutex_){};
  ExactCounts counts_ ASSAY_GUARDED_BY(mutex_);
  std::unique_ptr<WorkerPool> worker_;  // last, so that it is joined first
};

}  // namespace assay::agent
