// SPDX-License-Identifier: Apache-2.0
#include "agent/probe/bpf_event_source.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "agent/probe/process_command.h"
#include "agent/probe/sweeper.h"

namespace assay::agent {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// How often losses are looked at: the programs cannot wake user space when a buffer is full.
constexpr seconds kWatchInterval{1};
// Between the time that a program writes into a record and the record's arrival in the buffer.
constexpr milliseconds kRecordDelay{100};
// How soon a receiver that had no room is asked again.
constexpr milliseconds kRoomInterval{10};
// Records that are read and not stored yet may fill so much of a ring buffer (1/n); beyond it they
// are given free, so that a slow disk does not push out new starts.
constexpr std::uint32_t kUnstoredShare = 4;

Result<void> add_to_poll(int poll, int fd, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) return system_error("epoll_ctl");
  return ok();
}

}  // namespace

Result<std::unique_ptr<BpfEventSource>> BpfEventSource::create(ProbeOptions options,
                                                               const Clock& clock) {
  ASSAY_ASSIGN(std::unique_ptr<ProbePrograms> programs, ProbePrograms::open(options));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return system_error("eventfd");
  UniqueFd poll(::epoll_create1(EPOLL_CLOEXEC));
  if (!poll) return system_error("epoll_create1");
  ASSAY_TRY(add_to_poll(poll.get(), wake.get(), EPOLLIN));
  // Edges: what is read and not stored yet stays in the ring buffer, which is never empty then.
  for (const int fd : {programs->starts_fd(), programs->execs_fd()})
    ASSAY_TRY(add_to_poll(poll.get(), fd, EPOLLIN | EPOLLET));
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
      assembler_(make_hooks(), options_.never_executed_age),
      noise_(options_.quiet_after),
      sweep_interval_ms_(options_.sweep_interval.count()) {
  programs_->set_sinks([this](std::string_view bytes) { on_start_record(bytes); },
                       [this](std::string_view bytes) { on_exec_record(bytes); });
}

BpfEventSource::~BpfEventSource() {
  stop();
}

EventAssembler::Hooks BpfEventSource::make_hooks() {
  EventAssembler::Hooks hooks;
  hooks.fill_command = [this](ContainerStart& start) {
    fill_command(start);
    if (options_.tap != nullptr) options_.tap->on_command(start);
  };
  hooks.on_canary = [this](const CanarySeen& seen) { on_canary(seen); };
  hooks.on_noise = [this](const NoiseSeen& seen) {
    if (const auto noise = noise_.on_seen(seen)) tell_noise(*noise);
  };
  hooks.on_bare_overlay = [this] {
    if (!programs_->has_overlay_offsets()) programs_->look_for_overlay_offsets();
  };
  hooks.read_starts = [this] { programs_->read_starts(); };
  return hooks;
}

Result<void> BpfEventSource::start(EventSink& sink, std::optional<BootTime> absent_since) {
  ASSAY_ASSERT(sink_ == nullptr);
  sink_ = &sink;
  assembler_.set_sink(sink);
  if (auto attached = programs_->attach(); !attached) {
    programs_->detach(false);
    set_state(ProbeState::kFailed, attached.error().text());
    return attached;
  }
  losses_.emplace(make_watch(absent_since));
  programs_->control().store(losses_->well());
  programs_->control().set_gap(losses_->is_open() || programs_->inheritance().lost.has_value());
  programs_->pin();
  whole_starts_ = programs_->starts().position();
  set_state(ProbeState::kAttached, "attached; waiting for the canary");
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  return ok();
}

// From when on something may be missing: since an earlier agent was well, if nothing bridged its
// absence.
LossWatch BpfEventSource::make_watch(std::optional<BootTime> absent_since) const {
  const Inheritance& inheritance = programs_->inheritance();
  WellPoint well{clock_.boot_now(), programs_->counters()};
  const bool is_bridged = inheritance.is_adopted || inheritance.lost;
  if (inheritance.is_adopted && inheritance.well)
    well = *inheritance.well;
  else if (!is_bridged && inheritance.well)
    well.time = inheritance.well->time;
  else if (!is_bridged && absent_since)
    well.time = *absent_since;
  LossWatch watch(well, options_.min_gap_pause);
  if (inheritance.lost) watch.inherit(inheritance.well->time, *inheritance.lost);
  if (inheritance.has_gap)
    watch.open(GapCause::kUnstored);
  else if (!is_bridged && (inheritance.well || absent_since))
    watch.open(GapCause::kAbsence);
  return watch;
}

void BpfEventSource::request_sweep() {
  is_sweep_requested_ = true;
  wake();
}

void BpfEventSource::wake() {
  const std::uint64_t one = 1;
  // A full counter wakes the thread as well.
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof(one));
}

void BpfEventSource::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  wake();
  thread_.join();
  programs_->detach(options_.keeps_pins);
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
  consume();  // what an absence left, in its order, before the sweep tells of what still runs
  sweep();
  launch_canary();
  while (!stop.stop_requested()) {
    const BootTime until =
        is_sweep_requested_ ? last_sweep_ + options_.min_sweep_gap : last_watch_ + kWatchInterval;
    if (sink_->has_room()) {
      wait(until);
      consume();
    } else {
      wait_for_room();
    }
    sweep_if_due();
    watch_canary();
    watch_losses();
  }
  canary_.reap();
  consume();
  tell_gap(losses_->finish(programs_->counters(), clock_.boot_now()));
  tell_checkpoint();
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

// New records wake nobody here: they wait in the kernel.
void BpfEventSource::wait_for_room() {
  pollfd woken{wake_.get(), POLLIN, 0};
  ::poll(&woken, 1, static_cast<int>(kRoomInterval.count()));
}

void BpfEventSource::consume() {
  const BootTime began = clock_.boot_now();
  // Starts first: an exec is told after the start of its run. Execs that come while starts are read
  // may be of starts that come then, too, and wait for the next time.
  const std::uint64_t execs = programs_->execs().written();
  programs_->read_starts();
  programs_->read_execs(execs);
  read_until_ = began - kRecordDelay;
  tell_checkpoint();
  relieve();
}

void BpfEventSource::on_start_record(std::string_view bytes) {
  const BootTime now = clock_.boot_now();
  if (options_.tap != nullptr) options_.tap->on_bytes(ProbeChannel::kStarts, now, bytes);
  if (auto told = assembler_.on_start_record(bytes, now); !told) note_problem(told.error().text());
}

void BpfEventSource::on_exec_record(std::string_view bytes) {
  if (options_.tap != nullptr)
    options_.tap->on_bytes(ProbeChannel::kExecs, clock_.boot_now(), bytes);
  if (auto told = assembler_.on_exec_record(bytes); !told) note_problem(told.error().text());
}

// Marks the place up to which everything was told, when there is anything new to mark.
void BpfEventSource::tell_checkpoint() {
  if (!assembler_.has_parts(clock_.boot_now())) whole_starts_ = programs_->starts().position();
  Pending next{0, whole_starts_, programs_->execs().position(), losses_->well(),
               losses_->is_open()};
  {
    const MutexLock lock(pending_mutex_);
    if (next.starts == last_told_.starts && next.execs == last_told_.execs &&
        next.well.time == last_told_.well.time && next.has_gap == last_told_.has_gap)
      return;
    next.ticket = last_told_.ticket + 1;
    last_told_ = next;
    pending_.push_back(next);
  }
  sink_->on_checkpoint({next.ticket, std::min(next.well.time, read_until_)});
}

void BpfEventSource::release(std::uint64_t ticket) {
  const MutexLock lock(pending_mutex_);
  std::optional<Pending> stored;
  while (!pending_.empty() && pending_.front().ticket <= ticket) {
    stored = pending_.front();
    pending_.pop_front();
  }
  if (!stored) return;
  programs_->starts().release(stored->starts);
  programs_->execs().release(stored->execs);
  programs_->control().store(stored->well);
  programs_->control().set_gap(stored->has_gap || stored->ticket < relieved_ticket_);
}

// Gives room free before the records in it are stored, when they take too much of it.
void BpfEventSource::relieve() {
  RingReader& starts = programs_->starts();
  RingReader& execs = programs_->execs();
  const auto is_too_full = [](const RingReader& ring) {
    return ring.position() - ring.released() > ring.size() / kUnstoredShare;
  };
  if (!is_too_full(starts) && !is_too_full(execs)) return;
  {
    const MutexLock lock(pending_mutex_);
    relieved_ticket_ = last_told_.ticket;
    programs_->control().set_gap(true);
  }
  for (RingReader* ring : {&starts, &execs})
    if (is_too_full(*ring)) ring->release(ring->position());
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
  const LossCounters before = programs_->counters();
  Sweeper sweeper(*programs_, assembler_, clock_, options_);
  auto ended_untold = sweeper.sweep();
  if (!ended_untold) return note_problem(ended_untold.error().text());
  note_problem(!programs_->overlay_problem().empty() || programs_->pin_problem().empty()
                   ? programs_->overlay_problem()
                   : "an agent that is killed leaves nothing behind that watches on: " +
                         programs_->pin_problem());
  if (assembler_.has_due()) is_sweep_requested_ = true;
  losses_->count_untold(*ended_untold);
  tell_gap(losses_->swept(before, programs_->counters(), clock_.boot_now()));
  tell_checkpoint();
}

void BpfEventSource::watch_losses() {
  const BootTime now = clock_.boot_now();
  if (now - last_watch_ < kWatchInterval) return;
  last_watch_ = now;
  if (losses_->observe(programs_->counters(), now)) is_sweep_requested_ = true;
  watch_noise();
  tell_checkpoint();
}

void BpfEventSource::watch_noise() {
  const auto held_back = [this](const RunKey& key, Budget budget) {
    return programs_->held_back(key, budget);
  };
  for (const RunNoise& noise : noise_.watch(clock_.boot_now(), held_back))
    tell_noise(noise);
}

void BpfEventSource::tell_gap(const std::optional<ObservationGap>& gap) {
  if (!gap) return;
  if (options_.tap != nullptr) options_.tap->on_gap(*gap);
  sink_->on_gap(*gap);
}

void BpfEventSource::tell_noise(const RunNoise& noise) {
  if (options_.tap != nullptr) options_.tap->on_noise(noise);
  sink_->on_noise(noise);
}

void BpfEventSource::on_canary(const CanarySeen& seen) {
  if (!canary_.recognise(seen)) return;
  programs_->set_canary_parent(0);
  set_state(ProbeState::kSeen, "");
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
