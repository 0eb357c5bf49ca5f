// SPDX-License-Identifier: Apache-2.0
// The outbox as the agent's threads see it: append without waiting, read what is committed.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/outgoing.h"
#include "agent/outbox/outbox_store.h"
#include "agent/outbox/set_aside.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/sqlite/database.h"

namespace assay::agent {

struct OutboxOptions {
  OutboxLimits limits;
  std::string boot_id;  ///< of this boot, for the open runs
  Moment opened{SystemClock().wall_now(), SystemClock().boot_now()};  ///< the time now
  std::uint64_t max_queued_bytes = 16ULL << 20;  ///< appended and not committed yet
  std::uint64_t max_tail_bytes = 1ULL << 20;     ///< committed events kept in memory for the uplink
};

/// Appends are queued and committed in groups by one thread with synchronous=FULL: a committed
/// event survives kill -9 and power loss. Thread-safe.
class Outbox final : public OutgoingEvents {
 public:
  struct Callbacks {
    std::function<void()> on_committed;  ///< on the writer thread, at once
    OutboxStore::MakeGap make_gap;       ///< on the writer thread
    /// On the writer thread, when the disk began to refuse writes (`error` says why) and when it
    /// takes them again ("").
    std::function<void(const std::string& error)> on_trouble = [](const std::string&) {};
    /// On the writer thread: events were lost that never had a number, so that no hole shows it.
    std::function<void()> on_lost = [] {};
    /// Everything that happened before this time was appended; asked before each commit.
    std::function<Moment()> settled_until = [] {
      return Moment{SystemClock().wall_now(), SystemClock().boot_now()};
    };
  };

  /// Opens or makes the file. A damaged one is set aside, and a new one with a new epoch begins.
  /// Reads the whole file: some 0.1 s for 100 MB.
  /// Errors: kUnavailable, kPermissionDenied, kUnsupported (written by a newer version).
  static Result<std::unique_ptr<Outbox>> open(const std::string& path, OutboxOptions options);
  ~Outbox() override;

  /// Starts the writer thread, once. What was appended before is committed then.
  void start(Callbacks callbacks);
  /// Commits what is queued and ends the thread. Idempotent.
  void stop();

  /// Queues and returns at once. At max_queued_bytes it waits for a disk that works but is behind
  /// (at most five seconds); when the disk takes no writes, queued events of lower priority are
  /// dropped, else this one; counted, and told as a gap later.
  void append(NewEvent event);
  /// Waits until all that was appended before is committed: false when `timeout` passed first.
  bool flush(std::chrono::milliseconds timeout);

  /// Events ever accepted by append(), and how many of them are on disk: 0 as long as some were
  /// lost from memory and no gap on disk tells of it.
  std::uint64_t appended() const;
  std::uint64_t committed() const;

  Epoch epoch() const override;
  std::uint64_t acknowledged() const override;
  Result<std::vector<OutgoingEvent>> read_after(std::uint64_t sequence,
                                                std::uint64_t max_bytes) override;
  std::optional<std::string> describe(const StackDigest& digest) override;
  bool resume(std::uint64_t acknowledged) override;
  void acknowledge(std::uint64_t sequence) override;
  OutboxStatus status() const;
  /// Takes effect with the next commit.
  void set_max_bytes(std::uint64_t max_bytes);

  /// Whether the file was made now: then nothing of an earlier one is in it.
  bool is_new() const { return is_new_; }
  /// The damaged file that this one replaced.
  const std::optional<SetAside>& set_aside() const { return set_aside_; }
  /// Until when an earlier life of this outbox kept what happened; nothing when there was none.
  const std::optional<KeptUntil>& kept_until() const { return kept_until_; }
  /// What the events left open, as it was when the outbox was opened. Before start().
  Result<std::vector<OpenRun>> open_runs(OfBoot which) { return store_.open_runs(which); }
  /// Whether that is every run that was ever told of and did not end. Before start().
  Result<bool> is_complete() { return store_.is_complete(); }
  /// It is, once what was appended until now is committed.
  void set_complete();

 private:
  Outbox(OutboxStore store, sqlite::Database reader, OutboxOptions options);
  struct Batch {
    std::vector<NewEvent> events;
    std::size_t appended = 0;  ///< of them, those that were appended: the first ones
    DroppedEvents refused;
    OutboxWrite how;
  };
  void wait_for_room(std::uint64_t size, std::unique_lock<Mutex>& lock) ASSAY_REQUIRES(mutex_);
  /// Drops events of lower priorities from the queue, oldest first; whether `size` fits now.
  bool make_room(std::uint64_t size, EventPriority priority) ASSAY_REQUIRES(mutex_);
  void refuse(const NewEvent& event) ASSAY_REQUIRES(mutex_);
  Batch take_batch();
  /// Commits and publishes; whether there is news for on_committed.
  Result<bool> write(const Batch& batch);
  /// The same while nobody reads: what it deletes was not and will not be sent.
  Result<bool> write_alone(Batch& batch);
  void give_back(Batch batch, const Error& error);
  void run(const std::stop_token& stop);
  /// Acknowledgements wait a moment for events to come, so that one commit does for both.
  void wait_for_work(const std::stop_token& stop);
  /// False when the disk refused; the batch is back in the queue then.
  bool commit_queued();
  /// Begins a new epoch when the present one is void; false when the disk refused.
  bool renew_epoch();
  void publish(const Batch& batch, std::vector<OutgoingEvent> inserted);
  Result<std::vector<OutgoingEvent>> read_from_disk(std::uint64_t sequence,
                                                    std::uint64_t max_bytes);

  const OutboxOptions options_;
  const bool is_new_;
  std::optional<SetAside> set_aside_;
  std::optional<KeptUntil> kept_until_;
  Callbacks callbacks_;                                 // set before the thread starts
  OutboxStore store_;                                   // the writer thread's only, once started
  std::chrono::steady_clock::time_point last_write_{};  // the writer thread's
  bool is_failing_ = false;                             // the writer thread's

  Mutex reader_mutex_;  // before mutex_
  sqlite::Database reader_ ASSAY_GUARDED_BY(reader_mutex_);

  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable_any flushed_;
  Epoch epoch_ ASSAY_GUARDED_BY(mutex_);
  bool is_epoch_void_ ASSAY_GUARDED_BY(mutex_) = false;    // a new one has to begin
  std::uint64_t handed_out_ ASSAY_GUARDED_BY(mutex_) = 0;  // highest sequence that may be sent
  std::deque<NewEvent> queue_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t queued_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t appended_ ASSAY_GUARDED_BY(mutex_) = 0;   // events ever accepted
  std::uint64_t committed_ ASSAY_GUARDED_BY(mutex_) = 0;  // of those, how many are on disk
  std::uint64_t acknowledged_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t forgotten_ ASSAY_GUARDED_BY(mutex_) = 0;  // acknowledged and deleted on disk
  std::deque<OutgoingEvent> tail_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t tail_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t dropped_before_tail_ ASSAY_GUARDED_BY(mutex_) = 0;  // highest sequence not in tail_
  bool is_complete_ ASSAY_GUARDED_BY(mutex_) = false;               // to be written down
  std::uint64_t refused_events_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::optional<std::uint64_t> new_max_bytes_ ASSAY_GUARDED_BY(mutex_);
  bool is_working_ ASSAY_GUARDED_BY(mutex_) = false;  // the thread runs and the disk takes writes
  DroppedEvents refused_ ASSAY_GUARDED_BY(mutex_);    // by append, not told yet
  bool has_untold_loss_ ASSAY_GUARDED_BY(mutex_) = false;  // the same until the gap is on disk
  OutboxStatus status_ ASSAY_GUARDED_BY(mutex_);

  std::jthread thread_;
};

}  // namespace assay::agent
