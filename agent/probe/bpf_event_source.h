// SPDX-License-Identifier: Apache-2.0
// The BPF probe as the agent's source of starts, execs and ends.
#pragma once

#include <atomic>
#include <memory>
#include <stop_token>
#include <thread>

#include "agent/core/ports.h"
#include "agent/probe/canary.h"
#include "agent/probe/event_decoder.h"
#include "agent/probe/probe_options.h"
#include "agent/probe/probe_programs.h"
#include "agent/probe/sweeper.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Life: create → start → stop; it cannot be started twice. One thread of its own, "assay-probe",
/// reads the ring buffers, sweeps and calls the sink. Thread-safe after start.
class BpfEventSource final : public EventSource {
 public:
  /// Loads the programs; nothing is attached before start(). `clock` must outlive the source.
  /// Errors: kPermissionDenied, kUnsupported, each with what to do.
  static Result<std::unique_ptr<BpfEventSource>> create(ProbeOptions options, const Clock& clock);
  ~BpfEventSource() override;

  Result<void> start(EventSink& sink) override;
  void request_sweep() override;
  ProbeHealth health() const override;
  void set_sweep_interval(std::chrono::milliseconds interval) override {
    sweep_interval_ms_ = interval.count();
  }
  BootTime delivered_until() const override { return BootTime(delivered_until_ns_.load()); }
  void stop() override;

 private:
  BpfEventSource(ProbeOptions options, const Clock& clock, std::unique_ptr<ProbePrograms> programs,
                 UniqueFd wake, UniqueFd poll);
  void run(const std::stop_token& stop);
  void wait(BootTime until);
  void consume();
  void on_start_record(std::string_view bytes);
  void on_exec_record(std::string_view bytes);
  void deliver_start(ContainerStart start);
  void sweep_if_due();
  void sweep();
  void watch_losses();
  void watch_canary();
  void launch_canary();
  void fail_canary(const std::string& reason);
  void set_state(ProbeState state, std::string detail);
  void note_problem(std::string problem);

  const ProbeOptions options_;
  const Clock& clock_;
  const std::unique_ptr<ProbePrograms> programs_;
  const UniqueFd wake_;  ///< eventfd
  const UniqueFd poll_;  ///< epoll over both ring buffers and `wake_`
  EventSink* sink_ = nullptr;

  // The thread's own.
  EventDecoder decoder_;
  DeliveredRuns delivered_;
  Canary canary_;
  BootTime last_sweep_{};
  BootTime last_watch_{};
  LossCounters watched_loss_;

  std::atomic<bool> is_sweep_requested_{true};
  std::atomic<std::int64_t> delivered_until_ns_{0};
  std::atomic<std::int64_t> sweep_interval_ms_;
  mutable Mutex mutex_;
  ProbeHealth health_ ASSAY_GUARDED_BY(mutex_);
  std::string problem_ ASSAY_GUARDED_BY(mutex_);

  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace assay::agent
