// SPDX-License-Identifier: Apache-2.0
#include "collector/core/commit_loop.h"

#include <pthread.h>

#include <algorithm>
#include <future>
#include <utility>

#include "collector/core/scan_recorder.h"
#include "collector/core/triage.h"

namespace assay::collector {
namespace {

/// What a task weighs besides what it carries, so that empty messages cannot fill memory either.
constexpr std::size_t kTaskBytes = 512;
constexpr std::chrono::milliseconds kPauseAfterFailure{200};
constexpr std::chrono::seconds kJump{10};  // a clock that goes this far by itself was set
constexpr std::chrono::minutes kRoundAhead{
    1};  // a round that began later than now, by a wrong clock

std::size_t bytes_of(const CatalogEntry& entry) {
  std::size_t bytes = entry.statement.size() + entry.head.size();
  for (const std::string& file_set : entry.file_sets)
    bytes += file_set.size();
  return bytes;
}

std::string what_is_new(const CatalogEntry& entry) {
  std::string text = entry.statement.empty() ? "a new head" : "a signed change and a new head";
  if (!entry.roots.empty())
    text += ", root " + std::to_string(entry.first_root + entry.roots.size());
  return text;
}

}  // namespace

CommitLoop::CommitLoop(Store& store, NodeRegistry& nodes, Clock& clock,
                       std::shared_ptr<const catalog::Catalog> catalog, const JudgingRound& round,
                       catalog::ScanSummaries scans, const CommitOptions& options,
                       std::function<void(const std::string&)> on_problem)
    : store_(store),
      nodes_(nodes),
      clock_(clock),
      options_(options),
      on_problem_(std::move(on_problem)),
      budget_(options.budget),
      catalog_sequence_(catalog->sequence()),
      judging_(std::move(catalog), round, std::move(scans),
               {options.max_runs_per_commit, options.max_remembered_stacks}),
      recorder_(judging_, options.max_runs_per_commit),
      retainer_(options.retention) {}

Result<std::unique_ptr<CommitLoop>> CommitLoop::start(
    Store& store, NodeRegistry& nodes, Clock& clock,
    std::shared_ptr<const catalog::Catalog> catalog, const CommitOptions& options,
    std::function<void(const std::string&)> on_problem) {
  ASSAY_ASSIGN(JudgingRound round, store.load_round());
  ASSAY_ASSIGN(catalog::ScanSummaries scans, store.latest_scans());
  std::unique_ptr<CommitLoop> loop(new CommitLoop(store, nodes, clock, std::move(catalog), round,
                                                  std::move(scans), options,
                                                  std::move(on_problem)));
  loop->thread_ = std::jthread([raw = loop.get()](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "commit");
    raw->run(stop);
  });
  return loop;
}

CommitLoop::~CommitLoop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  thread_.request_stop();
  thread_.join();
}

Result<void> CommitLoop::push(Task task) {
  task.bytes += kTaskBytes;
  if (task.node) {
    if (auto admitted = budget_.admit(*task.node, task.bytes); !admitted) {
      ++counts_.refused;
      return admitted;
    }
  }
  {
    const std::lock_guard lock(mutex_);
    const bool is_full = !task.node && own_bytes_ + task.bytes > options_.max_own_bytes;
    if (!is_stopping_ && !is_full) {
      if (!task.node) own_bytes_ += task.bytes;
      queue_.push_back(std::move(task));
      ready_.notify_one();
      return ok();
    }
  }
  if (task.node) budget_.release(*task.node, task.bytes, std::chrono::steady_clock::now(), false);
  return Error{ErrorCode::kUnavailable, "the collector is stopping, or too busy"};
}

Result<void> CommitLoop::open_epoch(const NodeKey& node, const AgentInfo& agent,
                                    std::function<void(Result<BatchOutcome>)> done) {
  auto outcome = std::make_shared<BatchOutcome>();  // filled by work, read by done
  nodes_.connected(node, agent, clock_.wall_now());
  return push({node, 0,
               [this, node, agent, outcome](StoreWriter& store) -> Result<void> {
                 ASSAY_ASSIGN(*outcome,
                              recorder_.open_epoch(store, node, agent, clock_.wall_now()));
                 ASSAY_ASSIGN(const auto refused, recorder_.refused_sequence(store, node));
                 if (refused) remember_refusal(node, *refused);
                 return ok();
               },
               tell_outcome(node, std::move(outcome), std::move(done))});
}

Result<void> CommitLoop::record(const NodeKey& node, const Epoch& epoch, Batch batch,
                                std::size_t bytes, std::function<void(Result<BatchOutcome>)> done) {
  auto outcome = std::make_shared<BatchOutcome>();                // filled by work, read by done
  auto shared = std::make_shared<const Batch>(std::move(batch));  // std::function wants copies
  return push({node, bytes,
               [this, node, epoch, shared, outcome](StoreWriter& store) -> Result<void> {
                 ASSAY_ASSIGN(*outcome,
                              recorder_.apply(store, node, epoch, *shared, clock_.wall_now()));
                 return ok();
               },
               tell_outcome(node, std::move(outcome), std::move(done))});
}

std::function<void(Result<void>)> CommitLoop::tell_outcome(
    const NodeKey& node, std::shared_ptr<BatchOutcome> outcome,
    std::function<void(Result<BatchOutcome>)> done) {
  return [this, node, outcome = std::move(outcome), done = std::move(done)](Result<void> result) {
    if (!result) return done(std::move(result.error()));
    nodes_.acknowledged(node, outcome->acknowledged);
    nodes_.state_wanted(node, outcome->state_wish.has_value());
    done(std::move(*outcome));
  };
}

Result<void> CommitLoop::catalog_refused(const NodeKey& node, std::uint64_t sequence,
                                         std::string reason) {
  remember_refusal(node, sequence);
  return push({node,
               reason.size(),
               [this, node, sequence, reason](StoreWriter& store) {
                 return recorder_.catalog_refused(store, node, sequence, reason, clock_.wall_now());
               },
               {}});
}

Result<void> CommitLoop::identity_conflict(const NodeKey& node, std::string reason) {
  ++counts_.conflicts;
  return push({std::nullopt,
               reason.size(),
               [this, node, reason](StoreWriter& store) {
                 return recorder_.identity_conflict(store, node, reason, clock_.wall_now());
               },
               {}});
}

void CommitLoop::remember_refusal(const NodeKey& node, std::uint64_t sequence) {
  const std::lock_guard lock(mutex_);
  refusals_[node] = sequence;
}

void CommitLoop::heartbeat(const NodeKey& node, const Heartbeat& heartbeat) {
  nodes_.heartbeat(node, heartbeat, clock_.wall_now());
  for (const Degradation& degradation : heartbeat.degraded)
    if (degradation.mode == "catalog-refused") return;  // it still is
  {
    const std::lock_guard lock(mutex_);
    const auto refusal = refusals_.find(node);
    if (refusal == refusals_.end()) return;
    // What was refused may claim any end, also one that this catalog will never reach.
    if (heartbeat.catalog_sequence < std::min(refusal->second, catalog_sequence_.load())) return;
    refusals_.erase(refusal);
  }
  (void)push({std::nullopt,
              0,
              [this, node](StoreWriter& store) {
                return recorder_.catalog_accepted(store, node, clock_.wall_now());
              },
              {}});
}

void CommitLoop::disconnected(const NodeKey& node) {
  nodes_.disconnected(node, clock_.wall_now());
}

void CommitLoop::audit(AuditEntry entry) {
  if (entry.outcome == "refused") {
    const std::lock_guard lock(mutex_);
    auto admitted = denied_.admit(std::move(entry), std::chrono::steady_clock::now());
    if (!admitted) return;
    entry = std::move(*admitted);
  }
  write_audit(std::move(entry));
}

void CommitLoop::tell_last_denied_tries() {
  std::vector<AuditEntry> last;
  {
    const std::lock_guard lock(mutex_);
    last = denied_.due(std::chrono::steady_clock::now(), to_unix_ns(clock_.wall_now()), true);
  }
  if (last.empty()) return;
  (void)write(Commit::kDurable, [&](StoreWriter& store) -> Result<void> {
    for (const AuditEntry& entry : last)
      ASSAY_TRY(store.audit(entry));
    return ok();
  });
}

void CommitLoop::tell_denied_tries() {
  std::vector<AuditEntry> due;
  {
    const std::lock_guard lock(mutex_);
    due = denied_.due(std::chrono::steady_clock::now(), to_unix_ns(clock_.wall_now()));
  }
  for (AuditEntry& entry : due)
    write_audit(std::move(entry));
}

void CommitLoop::write_audit(AuditEntry entry) {
  const std::size_t bytes = entry.subject.size() + entry.detail.size();
  (void)push({std::nullopt,
              bytes,
              [entry = std::move(entry)](StoreWriter& store) { return store.audit(entry); },
              {}});
}

Result<void> CommitLoop::change_catalog(const CatalogEntry& entry,
                                        std::shared_ptr<const catalog::Catalog> next) {
  auto committed = std::make_shared<std::promise<Result<void>>>();  // outlives a stopping caller
  auto future = committed->get_future();
  auto round = std::make_shared<JudgingRound>();  // filled by work, read by done
  ASSAY_TRY(
      push({std::nullopt, bytes_of(entry),
            [this, entry, round](StoreWriter& store) -> Result<void> {
              *round = {judging_.round().round + 1, entry.sequence, to_unix_ns(clock_.wall_now())};
              ASSAY_TRY(store.append_catalog(entry));
              ASSAY_TRY(store.audit({entry.received_ns, entry.submitted_by, "catalog.submit",
                                     "sequence " + std::to_string(entry.sequence), "done",
                                     what_is_new(entry), entry.submitted_from}));
              return store.set_round(*round);
            },
            [this, round, next, committed](Result<void> result) {
              if (result) {
                judging_.begin_round(next, *round);
                catalog_sequence_ = next->sequence();
                is_judging_ = true;
              }
              committed->set_value(std::move(result));
            }}));
  return future.get();
}

Result<std::vector<ScanOutcome>> CommitLoop::import_scan(const ScanImport& scan) {
  if (scan.bytes > options_.max_own_bytes / 2)
    return Error{ErrorCode::kLimitExceeded, "the report is too large"};
  auto committed = std::make_shared<std::promise<Result<void>>>();  // outlives a stopping caller
  auto future = committed->get_future();
  auto outcomes = std::make_shared<std::vector<ScanOutcome>>();  // filled by work
  ASSAY_TRY(push({std::nullopt, scan.bytes,
                  [scan, outcomes](StoreWriter& store) -> Result<void> {
                    ASSAY_ASSIGN(*outcomes, record_scan(store, scan));
                    return ok();
                  },
                  [this, committed, is_dry_run = scan.is_dry_run](Result<void> result) {
                    if (result && !is_dry_run) are_scans_new_ = true;
                    committed->set_value(std::move(result));
                  }}));
  ASSAY_TRY(future.get());
  return std::move(*outcomes);
}

Result<void> CommitLoop::change(std::size_t bytes, std::function<Result<void>(StoreWriter&)> work) {
  auto committed = std::make_shared<std::promise<Result<void>>>();  // outlives a stopping caller
  auto future = committed->get_future();
  ASSAY_TRY(push({std::nullopt, bytes, std::move(work),
                  [committed](Result<void> result) { committed->set_value(std::move(result)); }}));
  return future.get();
}

std::deque<CommitLoop::Task> CommitLoop::take(const std::stop_token& stop) {
  std::deque<Task> taken;
  std::unique_lock lock(mutex_);
  is_busy_ = false;
  if (queue_.empty()) idle_.notify_all();
  const auto tick = is_judging_ ? std::chrono::milliseconds(0) : options_.tick;
  ready_.wait_for(lock, stop, tick, [&] { return !queue_.empty(); });
  std::size_t bytes = 0;
  while (!queue_.empty() && (taken.empty() || bytes < options_.max_commit_bytes)) {
    bytes += queue_.front().bytes;
    if (!queue_.front().node) own_bytes_ -= queue_.front().bytes;
    taken.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  is_busy_ = true;
  return taken;
}

void CommitLoop::run(const std::stop_token& stop) {
  nodes_saved_ = std::chrono::steady_clock::now();
  for (;;) {
    std::deque<Task> tasks = take(stop);
    if (tasks.empty() && stop.stop_requested()) break;
    if (!tasks.empty()) commit(std::move(tasks));
    if (stop.stop_requested()) continue;
    begin_round_if_a_date_passed();
    if (is_judging_) judge_again();
    settle_overdue();
    tell_denied_tries();
    remove_what_is_over();
    save_nodes(false);
    if (is_failing_) std::this_thread::sleep_for(kPauseAfterFailure);
  }
  tell_last_denied_tries();
  save_nodes(true);
}

Result<void> CommitLoop::write(Commit kind, const std::function<Result<void>(StoreWriter&)>& work) {
  const auto began = std::chrono::steady_clock::now();
  // A transaction that changes nothing succeeds on a full disk, too: after a failure there is
  // always something to write.
  const auto proven = [&](StoreWriter& store) -> Result<void> {
    if (is_failing_)
      ASSAY_TRY(store.audit({to_unix_ns(clock_.wall_now()), "collector", "store.write", "", "done",
                             "the store takes writes again"}));
    return work(store);
  };
  auto result = kind == Commit::kDurable ? store_.write(proven) : store_.write_repeatable(proven);
  ++counts_.commits;
  counts_.commit_ns += static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now() - began).count());
  const bool was_failing = is_failing_.exchange(!result);
  if (!result) {
    ++counts_.failed_commits;
    judging_.forget();
    if (on_problem_) on_problem_("nothing could be committed: " + result.error().text());
  } else if (was_failing && on_problem_) {
    on_problem_("");
  }
  return result;
}

void CommitLoop::commit(std::deque<Task> tasks) {
  std::vector<Result<void>> results(tasks.size());
  const auto committed = write(Commit::kDurable, [&](StoreWriter& store) -> Result<void> {
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      // One agent's bad batch must not undo the others'.
      results[i] = store.attempt([&] { return tasks[i].work(store); });
      if (!results[i]) judging_.forget();
    }
    return ok();
  });
  if (judging_.has_unsettled() || recorder_.has_ending()) is_judging_ = true;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (!committed && results[i])
      results[i] = Error{ErrorCode::kUnavailable, "not committed: " + committed.error().message};
    finish(tasks[i], std::move(results[i]), committed.has_value());
  }
}

/// The room is given back before the agent hears: it may send at once.
void CommitLoop::finish(Task& task, Result<void> result, bool was_committed) {
  task.work = {};
  if (task.node)
    budget_.release(*task.node, task.bytes, std::chrono::steady_clock::now(), was_committed);
  if (task.done) task.done(std::move(result));
}

void CommitLoop::judge_again() {
  bool is_left = true;
  const auto judged = write(Commit::kRepeatable, [&](StoreWriter& store) -> Result<void> {
    ASSAY_ASSIGN(is_left,
                 judging_.judge_some(store, options_.max_runs_per_commit, clock_.wall_now()));
    ASSAY_ASSIGN(const bool is_ending, recorder_.end_some(store, clock_.wall_now()));
    is_left = is_left || is_ending;
    return ok();
  });
  if (!judged || is_left) return;
  is_judging_ = false;
  ++counts_.judged_rounds;
}

void CommitLoop::settle_overdue() {
  const auto looked = std::chrono::steady_clock::now();
  if (looked - overdue_settled_ < options_.tick) return;
  overdue_settled_ = looked;
  const WallTime now = clock_.wall_now();  // one look: the clock may jump after it
  if (is_after_jump(now)) return;
  bool is_left = true;
  while (is_left) {
    const auto settled = write(Commit::kRepeatable, [&](StoreWriter& store) -> Result<void> {
      ASSAY_TRY(end_mutes(store, to_unix_ns(now), options_.max_runs_per_commit));
      ASSAY_ASSIGN(const auto next, store.next_overdue_ns());
      is_left = next && *next <= to_unix_ns(now);
      if (!is_left) return ok();
      ASSAY_ASSIGN(is_left, judging_.settle_overdue(store, options_.max_runs_per_commit, now));
      return ok();
    });
    if (judging_.has_unsettled()) is_judging_ = true;
    if (!settled) return;
  }
}

void CommitLoop::refresh_scans() {
  auto scans = store_.latest_scans();
  if (scans) return judging_.set_scans(std::move(*scans));
  are_scans_new_ = true;  // those that were known count until the others can be read
  if (on_problem_) on_problem_("scans could not be read: " + scans.error().text());
}

void CommitLoop::begin_round_if_a_date_passed() {
  const WallTime now = clock_.wall_now();
  if (are_scans_new_.exchange(false)) {
    refresh_scans();
    if (judging_.catalog().policy().has_scan_rules()) return (void)begin_round_now();
  }
  const WallTime began = from_unix_ns(judging_.round().began_ns);
  // Judged by a clock that was ahead: dates that are still to come may have counted as passed.
  if (began > now + kRoundAhead) return (void)begin_round_now();
  const auto change = judging_.catalog().next_change_after(began, &judging_.scans());
  if (change && *change <= now) (void)begin_round_now();
}

Result<void> CommitLoop::begin_round_now() {
  const JudgingRound round{judging_.round().round + 1, judging_.round().catalog_sequence,
                           to_unix_ns(clock_.wall_now())};
  ASSAY_TRY(write(Commit::kDurable, [&](StoreWriter& store) { return store.set_round(round); }));
  judging_.begin_round(round);
  is_judging_ = true;
  return ok();
}

bool CommitLoop::is_after_jump(WallTime now) {
  const BootTime boot = clock_.boot_now();
  const WallTime boot_at = now - boot;
  const auto by = boot_at - std::exchange(boot_at_, boot_at).value_or(boot_at);
  if (by > kJump) jump_until_ = boot + judging_.catalog().policy().pending_deadline;
  if (by < -kJump) jump_until_ = {};
  return boot < jump_until_;
}

void CommitLoop::remove_what_is_over() {
  const BootTime now = clock_.boot_now();
  if (!retainer_.is_due(now) || is_judging_) return;
  const WallTime wall = clock_.wall_now();  // one look: the clock may jump after it
  if (is_after_jump(wall)) return;
  bool have_stacks_gone = false;
  const auto removed = write(Commit::kRepeatable, [&](StoreWriter& store) -> Result<void> {
    ASSAY_ASSIGN(have_stacks_gone, retainer_.step(store, wall, now, options_.max_rows_per_step));
    return ok();
  });
  if (have_stacks_gone) judging_.forget();
  if (!removed) retainer_.end_round();
}

void CommitLoop::save_nodes(bool is_last) {
  const auto now = std::chrono::steady_clock::now();
  if (!is_last && now - nodes_saved_ < options_.node_save_interval) return;
  nodes_saved_ = now;
  const auto changed = nodes_.take_changed();
  if (changed.empty()) return;
  const auto saved = write(Commit::kRepeatable, [&](StoreWriter& store) -> Result<void> {
    for (const auto& node : changed)
      ASSAY_TRY(store.save_node(node));
    return ok();
  });
  if (!saved) nodes_.give_back(changed);
}

bool CommitLoop::drain(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return idle_.wait_for(lock, timeout, [&] { return queue_.empty() && !is_busy_ && !is_judging_; });
}

}  // namespace assay::collector
