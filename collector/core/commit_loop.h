// SPDX-License-Identifier: Apache-2.0
// The one thread that writes: it commits whatever waits, all agents together, and between commits
// judges again what a change of the catalog or a date calls for.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "collector/core/denied_tries.h"
#include "collector/core/intake_budget.h"
#include "collector/core/judging.h"
#include "collector/core/node_registry.h"
#include "collector/core/ports.h"
#include "collector/core/recorder.h"
#include "collector/core/retention.h"
#include "common/base/clock.h"

namespace assay::collector {

struct CommitOptions {
  IntakeBudgetOptions budget;                  ///< of what agents send; more is refused
  std::size_t max_own_bytes = 16ULL << 20;     ///< of people's changes and our own notes, likewise
  std::size_t max_commit_bytes = 8ULL << 20;   ///< of batches in one transaction
  int max_runs_per_commit = 4000;              ///< when judging again: some 50 ms
  std::size_t max_remembered_stacks = 16'384;  ///< with their verdicts, a few KiB each
  std::chrono::milliseconds node_save_interval{10'000};
  int max_rows_per_step = 1000;  ///< of what is over: some 10 ms
  Retention retention;
  std::chrono::milliseconds tick{1000};  ///< how late a deadline may be noticed
};

/// Counts for metrics. Thread-safe.
struct CommitCounts {
  std::atomic<std::uint64_t> commits{0};
  std::atomic<std::uint64_t> failed_commits{0};
  std::atomic<std::uint64_t> refused{0};  ///< messages refused because too much waited
  std::atomic<std::uint64_t> commit_ns{0};
  std::atomic<std::uint64_t> judged_rounds{0};  ///< rounds judged to their end
  std::atomic<std::uint64_t> conflicts{0};      ///< two agents of one identity
};

/// Thread-safe. Destroying it commits what waits, then stops.
class CommitLoop final : public Intake, public Ledger {
 public:
  /// `store`, `nodes` and `clock` must outlive the loop. `on_problem` gets one line for each failed
  /// commit, and "" when the store takes writes again, on the loop's thread.
  static Result<std::unique_ptr<CommitLoop>> start(
      Store& store, NodeRegistry& nodes, Clock& clock,
      std::shared_ptr<const catalog::Catalog> catalog, const CommitOptions& options,
      std::function<void(const std::string&)> on_problem);
  ~CommitLoop() override;
  CommitLoop(const CommitLoop&) = delete;
  CommitLoop& operator=(const CommitLoop&) = delete;

  Result<void> open_epoch(const NodeKey& node, const AgentInfo& agent,
                          std::function<void(Result<BatchOutcome>)> done) override;
  Result<void> record(const NodeKey& node, const Epoch& epoch, Batch batch, std::size_t bytes,
                      std::function<void(Result<BatchOutcome>)> done) override;
  Result<void> catalog_refused(const NodeKey& node, std::uint64_t sequence,
                               std::string reason) override;
  Result<void> identity_conflict(const NodeKey& node, std::string reason) override;
  std::chrono::milliseconds retry_after() const override { return budget_.retry_after(); }
  void heartbeat(const NodeKey& node, const Heartbeat& heartbeat) override;
  void disconnected(const NodeKey& node) override;
  void trust_taken(const NodeKey& node, const std::string& trust) override {
    nodes_.trust_taken(node, trust);
  }
  Result<void> change_catalog(const CatalogEntry& entry,
                              std::shared_ptr<const catalog::Catalog> next) override;
  Result<std::vector<ScanOutcome>> import_scan(const ScanImport& scan) override;
  Result<void> change(std::size_t bytes, std::function<Result<void>(StoreWriter&)> work) override;
  void audit(AuditEntry entry) override;

  /// For what is pushed from now on.
  void set_max_queued_bytes(std::size_t bytes) { budget_.set_max_bytes(bytes); }
  const CommitCounts& counts() const { return counts_; }
  const Retainer& retainer() const { return retainer_; }
  void set_retention(const Retention& retention) { retainer_.set_retention(retention); }
  /// Bytes of agents' messages that are not committed yet.
  std::size_t held_bytes() const { return budget_.held(); }
  const ReconcilerCounts& reconciler_counts() const { return recorder_.reconciler_counts(); }
  const RecorderCounts& recorder_counts() const { return recorder_.counts(); }
  /// True from a commit that failed until something was written again.
  bool is_failing() const { return is_failing_; }
  /// True while stacks are left to judge in the present round.
  bool is_judging() const { return is_judging_; }
  /// Waits until everything queued so far is committed and judged, or `timeout` passed.
  bool drain(std::chrono::milliseconds timeout);

 private:
  struct Task {
    std::optional<NodeKey> node;  ///< whose budget `bytes` are of; none: ours
    std::size_t bytes = 0;
    std::function<Result<void>(StoreWriter&)> work;
    std::function<void(Result<void>)> done;
  };

  CommitLoop(Store& store, NodeRegistry& nodes, Clock& clock,
             std::shared_ptr<const catalog::Catalog> catalog, const JudgingRound& round,
             catalog::ScanSummaries scans, const CommitOptions& options,
             std::function<void(const std::string&)> on_problem);
  Result<void> push(Task task);
  /// What follows a commit for the agent: its registry entry, then `done`.
  std::function<void(Result<void>)> tell_outcome(const NodeKey& node,
                                                 std::shared_ptr<BatchOutcome> outcome,
                                                 std::function<void(Result<BatchOutcome>)> done);
  void run(const std::stop_token& stop);
  std::deque<Task> take(const std::stop_token& stop);
  void commit(std::deque<Task> tasks);
  void finish(Task& task, Result<void> result, bool was_committed);
  void judge_again();
  void settle_overdue();
  void write_audit(AuditEntry entry);
  void tell_denied_tries();
  void tell_last_denied_tries();
  void begin_round_if_a_date_passed();
  void refresh_scans();
  Result<void> begin_round_now();
  /// Whether the clock jumped ahead not long ago. A deadline that is over only by the jump may be
  /// none: the clock may be put right again.
  bool is_after_jump(WallTime now);
  void remove_what_is_over();
  void save_nodes(bool is_last);
  void remember_refusal(const NodeKey& node, std::uint64_t sequence);
  enum class Commit { kDurable, kRepeatable };
  Result<void> write(Commit kind, const std::function<Result<void>(StoreWriter&)>& work);

  Store& store_;
  NodeRegistry& nodes_;
  Clock& clock_;
  const CommitOptions options_;
  const std::function<void(const std::string&)> on_problem_;
  IntakeBudget budget_;
  CommitCounts counts_;
  std::atomic<bool> is_failing_{false};
  std::atomic<bool> is_judging_{true};
  std::atomic<bool> are_scans_new_{false};
  std::atomic<std::uint64_t> catalog_sequence_;

  // Of the loop's thread only.
  Judging judging_;
  Recorder recorder_;
  Retainer retainer_;
  std::chrono::steady_clock::time_point nodes_saved_{};
  std::chrono::steady_clock::time_point overdue_settled_{};
  std::optional<WallTime> boot_at_;  // when boot time 0 was, by the clock as it was looked at last
  BootTime jump_until_{};            // deadlines wait until then

  std::mutex mutex_;  // not Mutex: waited on with a stop token
  std::condition_variable_any ready_;
  std::condition_variable_any idle_;
  std::deque<Task> queue_;                     // guarded by mutex_
  std::size_t own_bytes_ = 0;                  // of tasks in it without a node; guarded by mutex_
  DeniedTries denied_;                         // guarded by mutex_
  bool is_busy_ = false;                       // guarded by mutex_
  bool is_stopping_ = false;                   // guarded by mutex_
  std::map<NodeKey, std::uint64_t> refusals_;  // sequence that a node refused; guarded by mutex_
  std::jthread thread_;
};

}  // namespace assay::collector
