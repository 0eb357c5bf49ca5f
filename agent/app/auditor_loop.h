// SPDX-License-Identifier: Apache-2.0
// The auditor's thread: one queue in front of one state machine.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <variant>
#include <vector>

#include "agent/app/commit_watch.h"
#include "agent/core/auditor.h"
#include "common/base/bounded_queue.h"
#include "common/base/mutex.h"

namespace assay::agent {

/// Takes events from every thread and hands them to the auditor on one. When its queue is half full
/// execs are dropped; when it is full, starts, ends and sweeps make their source wait, whose own
/// buffer then says what it lost. Thread-safe.
class AuditorLoop final : public EventSink {
 public:
  AuditorLoop() : queue_(kCapacity) {}
  ~AuditorLoop() override { stop(); }

  /// Builds the auditor's thread. `auditor` is touched by it alone from now on and outlives stop(),
  /// as `stacks` does. `commits`, which may be null, learns of checkpoints when all before them is
  /// recorded; it outlives stop() too. `on_tick` is called about once a second on that thread.
  void start(Auditor& auditor, StackFinder& stacks, CommitWatch* commits,
             std::function<void()> on_tick);
  /// Works off what is queued and joins. Idempotent.
  void stop();

  void on_start(ContainerStart start) override;
  void on_exec(ContainerExec exec) override;
  void on_emptied(RunEmptied emptied) override;
  void on_sweep(SweepCompleted sweep) override;
  void on_gap(ObservationGap gap) override;
  void on_noise(RunNoise noise) override;
  void on_checkpoint(Checkpoint checkpoint) override;
  bool has_room() const override;
  void post_layer(LayerResult result);
  void post_claims(RunClaims claims);
  void post_view(ViewReport report);
  void post_recognition(RecognitionReport report);
  void post_catalog(std::shared_ptr<const catalog::Catalog> catalog);
  /// Runs `work` on the auditor's thread.
  void post(std::function<void(Auditor&)> work);
  void post_state_request(std::uint64_t request);

  /// Of about a second ago: the loop takes it with each tick.
  AuditorSnapshot snapshot() const;
  std::uint64_t dropped() const { return dropped_.load(); }
  /// What happened before this time was handled by the auditor.
  BootTime settled_until() const { return BootTime(settled_ns_.load()); }

 private:
  static constexpr std::size_t kCapacity = 65'536;
  /// Beyond so many waiting items the source leaves records in the kernel, where each container has
  /// its share; one start takes some KiB.
  static constexpr std::size_t kEnoughToDo = 1024;
  using CatalogPtr = std::shared_ptr<const catalog::Catalog>;  // shared with the auditor
  struct StateRequest {
    std::uint64_t request = 0;
  };
  using Item = std::variant<ContainerStart, ContainerExec, RunEmptied, SweepCompleted, LayerResult,
                            RunClaims, CatalogPtr, ObservationGap, RunNoise, Checkpoint,
                            StateRequest, std::function<void(Auditor&)>>;

  void push(Item item);
  void push_or_wait(Item item);
  void run(const std::stop_token& stop);
  void handle(Item item);
  void flush_layers();
  void settle(const Checkpoint& checkpoint);
  void tick();

  BoundedQueue<Item> queue_;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::int64_t> settled_ns_{0};
  Auditor* auditor_ = nullptr;       // set before the thread starts
  StackFinder* stacks_ = nullptr;    // likewise
  CommitWatch* commits_ = nullptr;   // likewise
  std::function<void()> on_tick_;    // likewise
  std::vector<LayerResult> layers_;  // the thread's: results that wait for their neighbours
  std::chrono::steady_clock::time_point layers_due_{};
  mutable Mutex snapshot_mutex_;
  AuditorSnapshot snapshot_ ASSAY_GUARDED_BY(snapshot_mutex_);
  std::jthread thread_;
};

}  // namespace assay::agent
