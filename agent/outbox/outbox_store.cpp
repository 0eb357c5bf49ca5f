// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox_store.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

namespace assay::agent {
namespace {

// AUTOINCREMENT: a sequence is never given twice, even after all rows were acknowledged.
const std::vector<std::string> kMigrations = {R"sql(
  CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    priority INTEGER NOT NULL,
    time_ns INTEGER NOT NULL,
    stack BLOB,
    payload BLOB NOT NULL);
  CREATE INDEX events_by_priority ON events (priority, sequence);
  CREATE TABLE stacks (
    digest BLOB PRIMARY KEY,
    last_use INTEGER NOT NULL,
    description BLOB NOT NULL) WITHOUT ROWID;
  CREATE INDEX stacks_by_use ON stacks (last_use);
)sql"};

constexpr std::uint64_t kDropBatch = 256;  // rows looked at together while room is made

sqlite::Statement::Blob blob(std::string_view bytes) {
  return {bytes};
}

Result<Epoch> random_epoch() {
  Epoch epoch;
  if (::getrandom(epoch.data(), epoch.size(), 0) != static_cast<ssize_t>(epoch.size()))
    return system_error("getrandom for the epoch");
  return epoch;
}

}  // namespace

void DroppedEvents::add(WallTime time) {
  from = events == 0 ? time : std::min(from, time);
  until = events == 0 ? time : std::max(until, time);
  ++events;
}

Result<OutboxStore> OutboxStore::open(const std::string& path, OutboxLimits limits) {
  ASSAY_ASSIGN(sqlite::Database database,
               sqlite::Database::open(path, {.durability = sqlite::Durability::kFull}));
  ASSAY_TRY(database.migrate(kMigrations));
  OutboxStore store(std::move(database), limits);
  ASSAY_TRY(store.load());
  return store;
}

Result<void> OutboxStore::set_epoch(const Epoch& epoch) {
  ASSAY_ASSIGN(sqlite::Statement * insert,
               database_.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('epoch', ?)"));
  const std::string_view bytes(reinterpret_cast<const char*>(epoch.data()), epoch.size());
  return insert->bind(blob(bytes)).run();
}

Result<void> OutboxStore::set_acknowledged(std::uint64_t sequence) {
  ASSAY_ASSIGN(
      sqlite::Statement * insert,
      database_.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES ('acknowledged', ?)"));
  return insert->bind(sequence).run();
}

Result<void> OutboxStore::renew_epoch() {
  ASSAY_ASSIGN(const Epoch epoch, random_epoch());
  ASSAY_TRY(database_.transaction([&]() -> Result<void> {
    ASSAY_TRY(set_epoch(epoch));
    return set_acknowledged(0);
  }));
  epoch_ = epoch;
  acknowledged_ = 0;
  return ok();
}

Result<void> OutboxStore::load() {
  ASSAY_ASSIGN(sqlite::Statement * query,
               database_.prepare("SELECT value FROM meta WHERE key = 'epoch'"));
  ASSAY_ASSIGN(const bool has_epoch, query->step());
  if (has_epoch) {
    const std::string bytes = query->text(0);
    query->reset();
    if (bytes.size() != epoch_.size())
      return Error{ErrorCode::kCorrupt, "outbox: the epoch does not have 16 bytes"};
    std::memcpy(epoch_.data(), bytes.data(), bytes.size());
  } else {
    ASSAY_ASSIGN(epoch_, random_epoch());
    ASSAY_TRY(set_epoch(epoch_));
  }
  ASSAY_TRY(read_counts());
  return read_oldest();
}

Result<void> OutboxStore::read_counts() {
  ASSAY_ASSIGN(sqlite::Statement * query, database_.prepare(R"sql(
    SELECT (SELECT count(*) FROM events),
           (SELECT coalesce(sum(length(payload)), 0) FROM events) +
             (SELECT coalesce(sum(length(description)), 0) FROM stacks),
           (SELECT coalesce(sum(length(description)), 0) FROM stacks),
           (SELECT count(*) FROM stacks),
           (SELECT coalesce(max(last_use), 0) FROM stacks),
           (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'events'),
           (SELECT coalesce(max(value), 0) FROM meta WHERE key = 'acknowledged'))sql"));
  ASSAY_TRY(query->step());
  events_ = static_cast<std::uint64_t>(query->integer(0));
  bytes_ = static_cast<std::uint64_t>(query->integer(1));
  stack_bytes_ = static_cast<std::uint64_t>(query->integer(2));
  stacks_ = static_cast<std::uint64_t>(query->integer(3));
  stack_use_ = static_cast<std::uint64_t>(query->integer(4));
  last_sequence_ = static_cast<std::uint64_t>(query->integer(5));
  acknowledged_ = static_cast<std::uint64_t>(query->integer(6));
  query->reset();
  return ok();
}

Result<void> OutboxStore::read_oldest() {
  ASSAY_ASSIGN(sqlite::Statement * query,
               database_.prepare("SELECT time_ns FROM events ORDER BY sequence LIMIT 1"));
  ASSAY_ASSIGN(const bool has_row, query->step());
  oldest_.reset();
  if (has_row) oldest_ = from_unix_ns(query->integer(0));
  query->reset();
  return ok();
}

Result<std::vector<OutgoingEvent>> OutboxStore::write(const std::vector<NewEvent>& batch,
                                                      std::uint64_t acknowledged,
                                                      const MakeGap& make_gap) {
  std::vector<OutgoingEvent> inserted;
  auto done = database_.transaction([&]() -> Result<void> {
    if (acknowledged > 0) ASSAY_TRY(forget_until(acknowledged));
    for (const NewEvent& event : batch)
      ASSAY_TRY(insert(event, inserted));
    ASSAY_TRY(forget_stacks());
    ASSAY_ASSIGN(const DroppedEvents dropped, drop_over_cap());
    if (dropped.events > 0) ASSAY_TRY(insert(make_gap(dropped), inserted));
    return read_oldest();
  });
  if (!done) {
    (void)read_counts();  // what was counted was rolled back; a failure shows at the next write
    (void)read_oldest();
    return std::move(done.error());
  }
  return inserted;
}

Result<void> OutboxStore::insert(const NewEvent& event, std::vector<OutgoingEvent>& inserted) {
  ASSAY_ASSIGN(sqlite::Statement * statement,
               database_.prepare(
                   "INSERT INTO events (priority, time_ns, stack, payload) VALUES (?, ?, ?, ?)"));
  std::optional<sqlite::Statement::Blob> stack;
  if (event.stack) stack = blob(event.stack->raw());
  statement->bind(static_cast<int>(event.priority), to_unix_ns(event.time), stack,
                  blob(event.payload));
  ASSAY_TRY(statement->run());
  last_sequence_ = static_cast<std::uint64_t>(database_.last_insert_id());
  ++events_;
  bytes_ += event.payload.size();
  inserted.push_back({last_sequence_, event.stack, event.payload});
  return event.stack ? insert_stack(event) : ok();
}

Result<void> OutboxStore::insert_stack(const NewEvent& event) {
  ASSAY_ASSIGN(sqlite::Statement * touch,
               database_.prepare("UPDATE stacks SET last_use = ? WHERE digest = ?"));
  ASSAY_TRY(touch->bind(++stack_use_, blob(event.stack->raw())).run());
  if (database_.changes() > 0 || event.stack_description.empty()) return ok();
  ASSAY_ASSIGN(
      sqlite::Statement * insert,
      database_.prepare("INSERT INTO stacks (digest, last_use, description) VALUES (?, ?, ?)"));
  ASSAY_TRY(
      insert->bind(blob(event.stack->raw()), stack_use_, blob(event.stack_description)).run());
  ++stacks_;
  bytes_ += event.stack_description.size();
  stack_bytes_ += event.stack_description.size();
  return ok();
}

Result<void> OutboxStore::forget_until(std::uint64_t sequence) {
  ASSAY_ASSIGN(
      sqlite::Statement * sum,
      database_.prepare(
          "SELECT count(*), coalesce(sum(length(payload)), 0) FROM events WHERE sequence <= ?"));
  ASSAY_TRY(sum->bind(sequence).step());
  const auto events = static_cast<std::uint64_t>(sum->integer(0));
  const auto bytes = static_cast<std::uint64_t>(sum->integer(1));
  sum->reset();
  ASSAY_ASSIGN(sqlite::Statement * erase,
               database_.prepare("DELETE FROM events WHERE sequence <= ?"));
  ASSAY_TRY(erase->bind(sequence).run());
  events_ -= events;
  bytes_ -= bytes;
  acknowledged_ = std::max(acknowledged_, sequence);
  return set_acknowledged(acknowledged_);
}

Result<DroppedEvents> OutboxStore::drop_over_cap() {
  DroppedEvents dropped;
  dropped.reason =
      "the outbox reached its limit of " + std::to_string(limits_.max_bytes) + " bytes";
  if (bytes_ <= limits_.max_bytes) return dropped;
  const std::uint64_t target = limits_.max_bytes / 10 * 9;  // room for a while, not for one event
  while (bytes_ > target && events_ > 0) {
    ASSAY_ASSIGN(sqlite::Statement * oldest,
                 database_.prepare("SELECT sequence, time_ns, length(payload) FROM events ORDER BY "
                                   "priority, sequence LIMIT ?"));
    oldest->bind(kDropBatch);
    std::vector<std::int64_t> sequences;
    for (std::uint64_t freed = 0; bytes_ - freed > target;) {
      ASSAY_ASSIGN(const bool has_row, oldest->step());
      if (!has_row) break;
      sequences.push_back(oldest->integer(0));
      dropped.add(from_unix_ns(oldest->integer(1)));
      freed += static_cast<std::uint64_t>(oldest->integer(2));
    }
    oldest->reset();
    ASSAY_ASSIGN(
        sqlite::Statement * erase,
        database_.prepare("DELETE FROM events WHERE sequence = ? RETURNING length(payload)"));
    for (const std::int64_t sequence : sequences) {
      ASSAY_TRY(erase->bind(sequence).step());
      bytes_ -= static_cast<std::uint64_t>(erase->integer(0));
      --events_;
      ASSAY_TRY(erase->step());
    }
  }
  return dropped;
}

Result<void> OutboxStore::forget_stacks() {
  // Half of the room, so that descriptions of many layers never push all events out.
  const std::uint64_t max_bytes = limits_.max_bytes / 2;
  if (stacks_ <= limits_.max_stacks && stack_bytes_ <= max_bytes) return ok();
  // Those that a queued event refers to are used more recently than the ones that go, but for a
  // backlog of more stacks than the limit: then the collector asks for them in vain and says so.
  ASSAY_ASSIGN(sqlite::Statement * erase,
               database_.prepare("DELETE FROM stacks WHERE digest IN (SELECT digest FROM stacks "
                                 "ORDER BY last_use LIMIT 1) "
                                 "RETURNING length(description)"));
  while (stacks_ > limits_.max_stacks * 9 / 10 || stack_bytes_ > max_bytes / 10 * 9) {
    ASSAY_ASSIGN(const bool has_row, erase->step());
    if (!has_row) break;
    const auto size = static_cast<std::uint64_t>(erase->integer(0));
    bytes_ -= size;
    stack_bytes_ -= size;
    --stacks_;
    erase->reset();
  }
  erase->reset();
  return ok();
}

}  // namespace assay::agent
