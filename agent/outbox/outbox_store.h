// SPDX-License-Identifier: Apache-2.0
// The tables of outbox.db and nothing else: no threads, no queue (docs/formats/outbox.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/outgoing.h"
#include "agent/outbox/open_run_table.h"
#include "common/sqlite/database.h"

namespace assay::agent {

/// Events that were lost on this side, to be told as a gap.
struct DroppedEvents {
  std::uint64_t events = 0;  ///< 0: nobody could count them
  WallTime from{};
  WallTime until{};
  std::string reason;

  bool is_empty() const { return events == 0 && from == WallTime{}; }
  void add(WallTime time);
  /// One gap that encloses both.
  void add(const DroppedEvents& other);
};

/// An event on its way into the outbox.
struct NewEvent {
  EventPriority priority = EventPriority::kRoutine;
  WallTime time{};
  std::string payload;
  std::optional<StackDigest> stack;
  std::string stack_description;  ///< encoded; "" when the event names no stack
  RunChange change = {};          ///< of the open runs, committed together with the event
  std::optional<DroppedEvents> gap = std::nullopt;  ///< the event tells of this gap
};

struct OutboxLimits {
  std::uint64_t max_bytes = 1ULL << 30;  ///< payloads and descriptions on disk
  std::uint64_t max_stacks =
      10'000;  ///< descriptions kept, in half of max_bytes; least recently used go first
};

/// One moment on both clocks.
struct Moment {
  WallTime wall{};
  BootTime boot{};
};

/// Until when an earlier life of an outbox kept what happened.
struct KeptUntil {
  Moment moment;
  bool is_of_this_boot = false;  ///< else `moment.boot` means nothing
};

/// What one transaction does besides inserting events.
struct OutboxWrite {
  std::uint64_t acknowledged = 0;  ///< events up to here are forgotten, 0: none
  std::uint64_t handed_out = 0;    ///< the highest sequence that somebody may have sent
  bool is_complete = false;        ///< from now on open_runs() holds every run
  Moment settled;                  ///< what happened before is in this or an earlier transaction
};

/// The writing connection. Use it from one thread at a time.
class OutboxStore {
 public:
  /// Makes the event that tells of a gap.
  using MakeGap = std::function<NewEvent(const DroppedEvents&)>;

  /// Reads the whole file to check it. `boot_id`: of this boot, for the open runs. A file that is
  /// made now counts as kept until `now`.
  /// Errors: kUnavailable, kCorrupt, kPermissionDenied, kUnsupported (written by a newer version).
  static Result<OutboxStore> open(const std::string& path, OutboxLimits limits, std::string boot_id,
                                  const Moment& now);

  const Epoch& epoch() const { return epoch_; }
  bool is_new() const { return is_new_; }  ///< open() made the epoch
  std::uint64_t last_sequence() const { return last_sequence_; }
  /// Highest sequence of this epoch that was ever acknowledged.
  std::uint64_t acknowledged() const { return acknowledged_; }
  /// Time of the oldest event that is kept.
  std::optional<WallTime> oldest() const { return oldest_; }
  std::uint64_t events() const { return events_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t dropped() const { return dropped_; }  ///< at the cap, since open()
  void set_max_bytes(std::uint64_t max_bytes) { limits_.max_bytes = max_bytes; }
  /// Whether writing `batch` may delete events that nobody acknowledged.
  bool may_drop(const std::vector<NewEvent>& batch) const;

  /// One durable transaction: forgets events up to `how.acknowledged`, inserts `batch` with what it
  /// changes of the open runs, and keeps the cap by dropping the oldest events of the lowest
  /// priority, which `make_gap` then describes. A gap of the same reason and about the same time
  /// that nobody may have sent yet is told together with the new one.
  /// Returns what was inserted, the gap included. Errors: kUnavailable (disk full, I/O), kCorrupt.
  Result<std::vector<OutgoingEvent>> write(const std::vector<NewEvent>& batch,
                                           const OutboxWrite& how, const MakeGap& make_gap);
  /// A new random epoch for the events that are kept: nothing of it is acknowledged. Durable.
  Result<void> renew_epoch();
  Result<std::vector<OpenRun>> open_runs(OfBoot which);
  /// Whether open_runs() holds every run that was ever told of and did not end.
  Result<bool> is_complete();
  /// OutboxWrite::settled of the last transaction; nothing in a new outbox.
  Result<std::optional<KeptUntil>> kept_until();

 private:
  OutboxStore(sqlite::Database database, OutboxLimits limits, std::string boot_id)
      : database_(std::move(database)), limits_(limits), boot_id_(std::move(boot_id)) {}
  Result<void> load(const Moment& now);
  Result<void> read_counts();
  Result<void> read_oldest();
  Result<void> set_meta(const char* key, std::string_view bytes);
  Result<void> set_complete();
  Result<void> set_epoch(const Epoch& epoch);
  Result<void> set_acknowledged(std::uint64_t sequence);
  Result<void> insert(const NewEvent& event, std::vector<OutgoingEvent>& inserted);
  Result<void> insert_gap(DroppedEvents gap, std::uint64_t handed_out, const MakeGap& make_gap,
                          std::vector<OutgoingEvent>& inserted);
  Result<void> insert_stack(const NewEvent& event);
  Result<void> forget_until(std::uint64_t sequence);
  Result<void> keep_until(const Moment& settled);
  /// Takes the gap told last for this reason back, when it may be told together with `gap`.
  Result<void> take_back(DroppedEvents& gap, std::uint64_t handed_out,
                         std::vector<OutgoingEvent>& inserted);
  Result<DroppedEvents> drop_over_cap(std::vector<OutgoingEvent>& inserted);
  /// Deletes one event and counts what it held: a gap in it counts as what it told of.
  Result<void> drop(std::uint64_t sequence, DroppedEvents& dropped);
  Result<void> forget_stacks();

  sqlite::Database database_;
  OutboxLimits limits_;
  std::string boot_id_;
  Epoch epoch_{};
  bool is_new_ = false;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::optional<WallTime> oldest_;
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;  ///< of events and stacks
  std::uint64_t stacks_ = 0;
  std::uint64_t stack_bytes_ = 0;
  std::uint64_t stack_use_ = 0;  ///< grows with each use of a stack
};

}  // namespace assay::agent
