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
#include "common/base/mutex.h"
#include "common/sqlite/database.h"

namespace assay::agent {

struct OutboxOptions {
  OutboxLimits limits;
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
  };

  /// Errors: kUnavailable, kCorrupt, kPermissionDenied, kUnsupported (written by a newer version).
  static Result<std::unique_ptr<Outbox>> open(const std::string& path, OutboxOptions options);
  ~Outbox() override;

  /// Starts the writer thread, once. What was appended before is committed then.
  void start(Callbacks callbacks);
  /// Commits what is queued and ends the thread. Idempotent.
  void stop();

  /// Queues and returns at once. Over max_queued_bytes (a disk that does not take writes) the event
  /// is dropped, counted and told as a gap later.
  void append(NewEvent event);
  /// Waits until all that was appended before is committed: false when `timeout` passed first.
  bool flush(std::chrono::milliseconds timeout);

  Epoch epoch() const override;
  std::uint64_t acknowledged() const override;
  Result<std::vector<OutgoingEvent>> read_after(std::uint64_t sequence,
                                                std::uint64_t max_bytes) override;
  std::optional<std::string> describe(const StackDigest& digest) override;
  bool resume(std::uint64_t acknowledged) override;
  void acknowledge(std::uint64_t sequence) override;
  OutboxStatus status() const;

 private:
  Outbox(OutboxStore store, sqlite::Database reader, OutboxOptions options);
  void run(const std::stop_token& stop);
  /// False when the disk refused; the batch is back in the queue then.
  bool commit_queued();
  bool renew_epoch();
  void publish(std::vector<OutgoingEvent> inserted);
  Result<std::vector<OutgoingEvent>> read_from_disk(std::uint64_t sequence,
                                                    std::uint64_t max_bytes);

  const OutboxOptions options_;
  Callbacks callbacks_;  // set before the thread starts
  OutboxStore store_;    // the writer thread's only, once started

  Mutex reader_mutex_;
  sqlite::Database reader_ ASSAY_GUARDED_BY(reader_mutex_);

  mutable Mutex mutex_;
  std::condition_variable_any wake_;
  std::condition_variable_any flushed_;
  Epoch epoch_ ASSAY_GUARDED_BY(mutex_);
  bool is_epoch_void_ ASSAY_GUARDED_BY(mutex_) = false;    // a new one has to begin
  std::uint64_t handed_out_ ASSAY_GUARDED_BY(mutex_) = 0;  // highest sequence that may be sent
  std::vector<NewEvent> queue_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t queued_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t appended_ ASSAY_GUARDED_BY(mutex_) = 0;   // events ever accepted
  std::uint64_t committed_ ASSAY_GUARDED_BY(mutex_) = 0;  // of those, how many are on disk
  std::uint64_t acknowledged_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t forgotten_ ASSAY_GUARDED_BY(mutex_) = 0;  // acknowledged and deleted on disk
  std::deque<OutgoingEvent> tail_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t tail_bytes_ ASSAY_GUARDED_BY(mutex_) = 0;
  std::uint64_t dropped_before_tail_ ASSAY_GUARDED_BY(mutex_) = 0;  // highest sequence not in tail_
  DroppedEvents refused_ ASSAY_GUARDED_BY(mutex_);                  // by append, not told yet
  OutboxStatus status_ ASSAY_GUARDED_BY(mutex_);

  std::jthread thread_;
};

}  // namespace assay::agent
