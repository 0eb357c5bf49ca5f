// SPDX-License-Identifier: Apache-2.0
// The BPF probe as the agent's source of starts, execs and ends.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>

#include "agent/core/ports.h"
#include "agent/probe/canary.h"
#include "agent/probe/event_assembler.h"
#include "agent/probe/loss_watch.h"
#include "agent/probe/noise_watch.h"
#include "agent/probe/probe_options.h"
#include "agent/probe/probe_programs.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Life: create → start → stop; it cannot be started twice. One thread of its own, "assay-probe",
/// reads the ring buffers, sweeps and calls the sink. Thread-safe after start.
class BpfEventSource final : public EventSource {
 public:
  /// Loads the programs, or adopts those that a killed agent left pinned; nothing is attached
  /// before start(). `clock` must outlive the source.
  /// Errors: kPermissionDenied, kUnsupported, each with what to do.
  static Result<std::unique_ptr<BpfEventSource>> create(ProbeOptions options, const Clock& clock);
  ~BpfEventSource() override;

  Result<void> start(EventSink& sink, std::optional<BootTime> absent_since) override;
  void request_sweep() override;
  ProbeHealth health() const override;
  void set_sweep_interval(std::chrono::milliseconds interval) override {
    sweep_interval_ms_ = interval.count();
  }
  void stop() override;
  void release(std::uint64_t ticket) override;

 private:
  /// A checkpoint that was told, with all that may be forgotten once it is stored.
  struct Pending {
    std::uint64_t ticket = 0;
    std::uint64_t starts = 0;  ///< positions in the ring buffers
    std::uint64_t execs = 0;
    WellPoint well;
    bool has_gap = false;
  };

  BpfEventSource(ProbeOptions options, const Clock& clock, std::unique_ptr<ProbePrograms> programs,
                 UniqueFd wake, UniqueFd poll);
  EventAssembler::Hooks make_hooks();
  LossWatch make_watch(std::optional<BootTime> absent_since) const;
  void run(const std::stop_token& stop);
  void wait(BootTime until);
  void wait_for_room();
  void wake();
  void consume();
  void on_start_record(std::string_view bytes);
  void on_exec_record(std::string_view bytes);
  void tell_checkpoint();
  void relieve();
  void sweep_if_due();
  void sweep();
  void watch_losses();
  void watch_noise();
  void tell_gap(const std::optional<ObservationGap>& gap);
  void tell_noise(const RunNoise& noise);
  void on_canary(const CanarySeen& seen);
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
  EventAssembler assembler_;
  NoiseWatch noise_;
  std::optional<LossWatch> losses_;  ///< from start() on
  Canary canary_;
  BootTime last_sweep_{};
  BootTime last_watch_{};
  BootTime read_until_{};           ///< what happened before was read from the ring buffers
  std::uint64_t whole_starts_ = 0;  ///< position before the parts that wait for their start

  std::atomic<bool> is_sweep_requested_{true};
  std::atomic<std::int64_t> sweep_interval_ms_;
  mutable Mutex mutex_;
  ProbeHealth health_ ASSAY_GUARDED_BY(mutex_);
  std::string problem_ ASSAY_GUARDED_BY(mutex_);

  Mutex pending_mutex_;
  std::deque<Pending> pending_ ASSAY_GUARDED_BY(pending_mutex_);
  Pending last_told_ ASSAY_GUARDED_BY(pending_mutex_);
  std::uint64_t relieved_ticket_ ASSAY_GUARDED_BY(pending_mutex_) = 0;  ///< stored: whole again

  std::jthread thread_;  ///< last: it uses all of the above
};

}  // namespace assay::agent
