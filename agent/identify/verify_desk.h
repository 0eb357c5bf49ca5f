// SPDX-License-Identifier: Apache-2.0
// Takes orders to verify and works them off one after the other, at idle priority.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/core/exact.h"
#include "agent/core/verify_orders.h"
#include "agent/core/verify_target.h"
#include "agent/identify/layer_rewalker.h"
#include "agent/identify/worker_pool.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Thread-safe. Destroying it stops between two files; no listener is called after that.
class VerifyDesk final : public VerifyOrders {
 public:
  struct Ports {
    LayerRewalker& rewalker;
    /// Gives the layers that are meant to the callback; later, on any thread, or never.
    std::function<void(const std::string& target, std::function<void(Result<VerifyScope>)>)> find;
    using Rows = std::vector<catalog::VerifiedLayer>;
    /// Looks into the roots of runs and gives a row for each (checked: view); later, on any thread,
    /// or never. Empty: nobody looks.
    std::function<void(const std::vector<catalog::VerifiedContainer>& runs,
                       std::function<void(Rows)>)>
        look_into_roots = {};
    ExactChecker* exact = nullptr;  ///< none: no layer is compared with its tar stream
  };
  explicit VerifyDesk(Ports ports);
  ~VerifyDesk() override;

  Result<std::uint64_t> order(const VerifyOrder& order, VerifyListener listener) override;
  void cancel(std::uint64_t id) override;
  VerifyCounts counts() const override;

 private:
  struct Job;
  using JobPtr = std::shared_ptr<Job>;  // shared by the queue, and by cancel()

  void work(const JobPtr& job, const std::stop_token& stop);
  Result<void> verify(Job& job);
  Result<VerifyScope> find(Job& job);
  Result<void> verify_views(Job& job, const VerifyScope& scope);
  void count(const catalog::VerifiedLayer& found);
  void verify_layer(Job& job, const VerifyTask& task);

  const Ports ports_;
  mutable Mutex mutex_;
  std::map<std::uint64_t, JobPtr> jobs_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t last_id_ ASSAY_GUARDED_BY(mutex_) = 0;
  VerifyCounts counts_ ASSAY_GUARDED_BY(mutex_);
  std::unique_ptr<WorkerPool> worker_;  // last, so that it is joined first
};

}  // namespace assay::agent
