// SPDX-License-Identifier: Apache-2.0
// Where runs are asked about: hands each to the sources in turn, holds their records against the
// kernel, and remembers what was said of each directory.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "agent/runtime/claim_source.h"
#include "common/base/bounded_queue.h"
#include "common/base/mutex.h"

namespace assay::agent {

struct ClaimDeskOptions {
  std::size_t max_waiting = 10'000;     ///< runs per source; more are answered with nothing
  std::size_t max_remembered = 50'000;  ///< directories; the least recently used goes first
};

/// Thread-safe. Destroying it asks the sources to stop and joins them.
class ClaimDesk final : public ClaimReader {
 public:
  /// `check` outlives the desk.
  ClaimDesk(std::vector<std::unique_ptr<ClaimSource>> sources, DirectoryCheck& check,
            ClaimDeskOptions options = {});
  ~ClaimDesk() override;

  std::optional<LayerClaim> recall(const LayerRef& ref) override;
  void look_up(ClaimTask task, std::function<void(RunClaims)> on_claims) override;

  std::uint64_t dropped() const { return dropped_.load(); }

 private:
  struct Job {
    ClaimTask task;
    std::function<void(RunClaims)> on_claims;
  };
  struct Counter {
    explicit Counter(std::unique_ptr<ClaimSource> from, std::size_t max_waiting)
        : source(std::move(from)), queue(max_waiting) {}
    std::unique_ptr<ClaimSource> source;
    BoundedQueue<Job> queue;
    std::jthread thread;
  };
  struct Remembered {
    LayerClaim claim;
    std::list<LayerRef>::iterator order;
  };

  void run(std::size_t at, const std::stop_token& stop);
  void pass_on(std::size_t to, Job job);
  std::optional<RunClaims> ask(ClaimSource& source, const ClaimTask& task,
                               const std::stop_token& stop);
  void remember(RunClaims& claims, const std::string& subject);

  DirectoryCheck& check_;
  const ClaimDeskOptions options_;
  std::atomic<std::uint64_t> dropped_{0};
  Mutex mutex_;
  std::map<LayerRef, Remembered> memory_ ASSAY_GUARDED_BY(mutex_);
  std::list<LayerRef> by_use_ ASSAY_GUARDED_BY(mutex_);  // least recently used first
  std::vector<std::unique_ptr<Counter>> counters_;       // last: their threads are joined first
};

}  // namespace assay::agent
