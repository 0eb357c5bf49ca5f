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
    std::function<void(const std::string& target,
                       std::function<void(Result<std::vector<VerifyTask>>)>)>
        find;
    ExactChecker* exact = nullptr;  ///< none: no layer is compared with its tar stream
    /// Has the roots of the containers that are meant looked into again; what is seen is told as
    /// every look is (RunViewed). May be empty. Never blocks.
    std::function<void(const std::string& target)> look = {};
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
  Result<std::vector<VerifyTask>> find(Job& job);
  void verify_layer(Job& job, const VerifyTask& task);

  const Ports ports_;
  mutable Mutex mutex_;
  std::map<std::uint64_t, JobPtr> jobs_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t last_id_ ASSAY_GUARDED_BY(mutex_) = 0;
  VerifyCounts counts_ ASSAY_GUARDED_BY(mutex_);
  std::unique_ptr<WorkerPool> worker_;  // last, so that it is joined first
};

}  // namespace assay::agent
