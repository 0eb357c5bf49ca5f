// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/bpf_event_source.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/probe/process_command.h"

namespace assay::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How often losses are looked at: the programs cannot wake user space when a buffer is full.
constexpr seconds kWatchInterval{1};
// Between the time that a program writes into a record and the record's arrival in the buffer.
constexpr milliseconds kRecordDelay{100};

Result<void> add_to_poll(int poll, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) return system_error("epoll_ctl");
  return ok();
}

}  // namespace

Result<std::unique_ptr<BpfEventSource>> BpfEventSource::create(ProbeOptions options,
                                                               const Clock& clock) {
  ASSAY_ASSIGN(std::unique_ptr<ProbePrograms> programs, ProbePrograms::load(options));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return system_error("eventfd");
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return system_error("epoll_create1");
  for (const int fd : {wake.get(), programs->starts_fd(), programs->execs_fd()})
    ASSAY_TRY(add_to_poll(poll.get(), fd));
  return std::unique_ptr<BpfEventSource>(new BpfEventSource(
      std::move(options), clock, std::move(programs), std::move(wake), std::move(poll)));
}

BpfEventSource::BpfEventSource(ProbeOptions options, const Clock& clock,
                               std::unique_ptr<ProbePrograms> programs, UniqueFd wake,
                               UniqueFd poll)
    : options_(std::move(options)),
      clock_(clock),
      programs_(std::move(programs)),
      wake_(std::move(wake)),
      poll_(std::move(poll)),
      sweep_interval_ms_(options_.sweep_interval.count()) {
  programs_->set_sinks([this](std::string_view bytes) { on_start_record(bytes); },
                       [this](std::string_view bytes) { on_exec_record(bytes); });
}

BpfEventSource::~BpfEventSource() {
  stop();
}

Result<void> BpfEventSource::start(EventSink& sink) {
  ASSAY_ASSERT(sink_ == nullptr);
  sink_ = &sink;
  if (auto attached = programs_->attach(); !attached) {
    programs_->detach();
    set_state(ProbeState::kFailed, attached.error().text());
    return attached;
  }
  set_state(ProbeState::kAttached, "attached; waiting for the canary");
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return ok();
}

void BpfEventSource::request_sweep() {
  is_sweep_requested_ = true;
  const std::uint64_t one = 1;
  // A full counter wakes the thread as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void BpfEventSource::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
  thread_.join();
  programs_->detach();
  set_state(ProbeState::kClosed, "stopped");
}

ProbeHealth BpfEventSource::health() const {
  ProbeHealth health;
  {
    const MutexLock lock(mutex_);
    health = health_;
    if (!problem_.empty()) health.detail += (health.detail.empty() ? "" : "; ") + problem_;
  }
  health.loss = programs_->counters();
  return health;
}

void BpfEventSource::run(const std::stop_token& stop) {
  pthread_setname_np(pthread_self(), "assay-probe");
  sweep();
  launch_canary();
  while (!stop.stop_requested()) {
    wait(is_sweep_requested_ ? last_sweep_ + options_.min_sweep_gap : last_watch_ + kWatchInterval);
    consume();
    sweep_if_due();
    watch_canary();
    watch_losses();
  }
  canary_.reap();
}

void BpfEventSource::wait(BootTime until) {
  const BootTime left = std::max(until - clock_.boot_now(), BootTime(0));
  const auto left_ms = std::chrono::ceil<milliseconds>(std::min<BootTime>(left, kWatchInterval));
  std::array<epoll_event, 3> events{};
  const int count = ::epoll_wait(poll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(left_ms.count()));
  std::uint64_t wakes = 0;
  if (count > 0) [[maybe_unused]]
    const ssize_t bytes = ::read(wake_.get(), &wakes, sizeof(wakes));
}

void BpfEventSource::consume() {
  const BootTime began = clock_.boot_now();
  // Starts first: an exec is told after the start of its run.
  for (auto consumed : {programs_->consume_starts(), programs_->consume_execs()})
    if (!consumed) note_problem(consumed.error().text());
  delivered_until_ns_ = (began - kRecordDelay).count();
}

void BpfEventSource::on_start_record(std::string_view bytes) {
  auto record = decoder_.decode(bytes);
  if (!record) return note_problem(record.error().text());
  if (auto* start = std::get_if<ContainerStart>(&*record)) {
    deliver_start(std::move(*start));
  } else if (const auto* emptied = std::get_if<RunEmptied>(&*record)) {
    delivered_.mark_emptied(emptied->key, emptied->time);
    sink_->on_emptied(*emptied);
  } else if (const auto* seen = std::get_if<CanarySeen>(&*record)) {
    if (!canary_.recognise(*seen)) return;
    programs_->set_canary_parent(0);
    set_state(ProbeState::kSeen, "");
  }
}

void BpfEventSource::deliver_start(ContainerStart start) {
  if (start.is_overlay && start.layers.empty() && !programs_->has_overlay_offsets())
    programs_->look_for_overlay_offsets();
  if (!delivered_.accept(start, clock_.boot_now())) {
    // A map of the programs was full, so that they did not know the run: an exec like others.
    if (start.cause != StartCause::kExec) return;
    ContainerExec exec;
    exec.key = start.key;
    exec.time = start.time;
    exec.process = std::move(start.process);
    if (!start.ancestors.empty()) exec.parent = std::move(start.ancestors.front());
    exec.uid = start.uid;
    exec.executable = std::move(start.executable);
    exec.arguments = std::move(start.arguments);
    exec.arguments_truncated = start.arguments_truncated;
    return sink_->on_exec(std::move(exec));
  }
  if (start.cause != StartCause::kExec) fill_command(start);
  sink_->on_start(std::move(start));
}

void BpfEventSource::on_exec_record(std::string_view bytes) {
  auto record = decoder_.decode(bytes);
  if (!record) return note_problem(record.error().text());
  auto* exec = std::get_if<ContainerExec>(&*record);
  if (exec == nullptr) return;
  // Its start lies in the other buffer, and was put there before this record was.
  if (!delivered_.contains(exec->key)) {
    if (auto consumed = programs_->consume_starts(); !consumed)
      note_problem(consumed.error().text());
  }
  sink_->on_exec(std::move(*exec));
}

void BpfEventSource::sweep_if_due() {
  const BootTime now = clock_.boot_now();
  const bool is_clock_due = now - last_sweep_ >= milliseconds(sweep_interval_ms_);
  if (!is_clock_due && !(is_sweep_requested_ && now - last_sweep_ >= options_.min_sweep_gap))
    return;
  if (is_clock_due && !programs_->has_overlay_offsets()) programs_->look_for_overlay_offsets();
  sweep();
  if (is_clock_due && health().state == ProbeState::kFailed) launch_canary();
}

void BpfEventSource::sweep() {
  is_sweep_requested_ = false;
  last_sweep_ = clock_.boot_now();
  Sweeper sweeper(*programs_, delivered_, clock_, options_);
  auto completed = sweeper.sweep();
  if (!completed) return note_problem(completed.error().text());
  note_problem(programs_->overlay_problem());
  sink_->on_sweep(std::move(*completed));
}

void BpfEventSource::watch_losses() {
  const BootTime now = clock_.boot_now();
  if (now - last_watch_ < kWatchInterval) return;
  last_watch_ = now;
  const LossCounters loss = programs_->counters();
  if (loss.lost_starts != watched_loss_.lost_starts ||
      loss.recursion_misses != watched_loss_.recursion_misses)
    is_sweep_requested_ = true;
  watched_loss_ = loss;
}

void BpfEventSource::launch_canary() {
  programs_->set_canary_parent(static_cast<std::uint32_t>(::getpid()));
  auto launched =
      canary_.launch(options_.canary_command, clock_.boot_now() + options_.canary_timeout);
  if (!launched) fail_canary(launched.error().text());
}

void BpfEventSource::watch_canary() {
  if (!canary_.is_waiting() || clock_.boot_now() < canary_.deadline()) return;
  fail_canary("the probe is attached but did not see the agent's own exec of " +
              options_.canary_command.front() + " within " +
              std::to_string(options_.canary_timeout.count()) +
              " ms: starts would be missed; see docs/kernel-support.md");
}

void BpfEventSource::fail_canary(const std::string& reason) {
  canary_.reap();
  programs_->set_canary_parent(0);
  set_state(ProbeState::kFailed, reason);
}

void BpfEventSource::set_state(ProbeState state, std::string detail) {
  const MutexLock lock(mutex_);
  health_.state = state;
  health_.detail = std::move(detail);
}

void BpfEventSource::note_problem(std::string problem) {
  const MutexLock lock(mutex_);
  problem_ = std::move(problem);
}

}  // namespace assay::agent
