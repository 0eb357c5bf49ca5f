// SPDX-License-Identifier: Apache-2.0
// The tables of outbox.db and nothing else: no threads, no queue (docs/formats/outbox.md).
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "agent/core/outgoing.h"
#include "common/sqlite/database.h"

namespace assay::agent {

/// An event on its way into the outbox.
struct NewEvent {
  EventPriority priority = EventPriority::kRoutine;
  WallTime time{};
  std::string payload;
  std::optional<StackDigest> stack;
  std::string stack_description;  ///< encoded; "" when the event names no stack
};

/// Events that were lost on this side, to be told as a gap.
struct DroppedEvents {
  std::uint64_t events = 0;
  WallTime from{};
  WallTime until{};
  std::string reason;

  void add(WallTime time);
};

struct OutboxLimits {
  std::uint64_t max_bytes = 256ULL << 20;  ///< payloads and descriptions on disk
  std::uint64_t max_stacks =
      10'000;  ///< descriptions kept, in half of max_bytes; least recently used go first
};

/// The writing connection. Use it from one thread at a time.
class OutboxStore {
 public:
  /// Makes the event that tells of a gap.
  using MakeGap = std::function<NewEvent(const DroppedEvents&)>;

  /// Errors: kUnavailable, kCorrupt, kPermissionDenied, kUnsupported (written by a newer version).
  static Result<OutboxStore> open(const std::string& path, OutboxLimits limits);

  const Epoch& epoch() const { return epoch_; }
  std::uint64_t last_sequence() const { return last_sequence_; }
  /// Highest sequence of this epoch that was ever acknowledged.
  std::uint64_t acknowledged() const { return acknowledged_; }
  /// Time of the oldest event that is kept.
  std::optional<WallTime> oldest() const { return oldest_; }
  std::uint64_t events() const { return events_; }
  std::uint64_t bytes() const { return bytes_; }

  /// One durable transaction: forgets events up to `acknowledged`, inserts `batch`, and keeps the
  /// cap by dropping the oldest events of the lowest priority, which `make_gap` then describes.
  /// Returns what was inserted, the gap included. Errors: kUnavailable (disk full, I/O), kCorrupt.
  Result<std::vector<OutgoingEvent>> write(const std::vector<NewEvent>& batch,
                                           std::uint64_t acknowledged, const MakeGap& make_gap);
  /// A new random epoch for the events that are kept: nothing of it is acknowledged. Durable.
  Result<void> renew_epoch();

 private:
  OutboxStore(sqlite::Database database, OutboxLimits limits)
      : database_(std::move(database)), limits_(limits) {}
  Result<void> load();
  Result<void> read_counts();
  Result<void> read_oldest();
  Result<void> set_epoch(const Epoch& epoch);
  Result<void> set_acknowledged(std::uint64_t sequence);
  Result<void> insert(const NewEvent& event, std::vector<OutgoingEvent>& inserted);
  Result<void> insert_stack(const NewEvent& event);
  Result<void> forget_until(std::uint64_t sequence);
  Result<DroppedEvents> drop_over_cap();
  Result<void> forget_stacks();

  sqlite::Database database_;
  OutboxLimits limits_;
  Epoch epoch_{};
  std::uint64_t last_sequence_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::optional<WallTime> oldest_;
  std::uint64_t events_ = 0;
  std::uint64_t bytes_ = 0;  ///< of events and stacks
  std::uint64_t stacks_ = 0;
  std::uint64_t stack_bytes_ = 0;
  std::uint64_t stack_use_ = 0;  ///< grows with each use of a stack
};

}  // namespace assay::agent
