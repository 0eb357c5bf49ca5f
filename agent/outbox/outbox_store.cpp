// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox_store.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>
#include <set>

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
)sql",
                                              kOpenRunTable,
                                              R"sql(
  CREATE TABLE gaps (
    sequence INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    from_ns INTEGER NOT NULL,
    until_ns INTEGER NOT NULL,
    lost INTEGER NOT NULL);
  CREATE TABLE kept_until (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    wall_ns INTEGER NOT NULL,
    boot_ns INTEGER NOT NULL,
    boot_id TEXT NOT NULL);
)sql"};

constexpr std::uint64_t kDropBatch = 256;   // rows looked at together while room is made
constexpr int kSpareRoom = 4096;            // pages that hold nothing and are kept for later
constexpr std::chrono::minutes kOneGap{1};  // gaps of one reason this close are told as one

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
  from = is_empty() ? time : std::min(from, time);
  until = is_empty() ? time : std::max(until, time);
  ++events;
}

void DroppedEvents::add(const DroppedEvents& other) {
  from = is_empty() ? other.from : std::min(from, other.from);
  until = is_empty() ? other.until : std::max(until, other.until);
  events += other.events;
}

Result<OutboxStore> OutboxStore::open(const std::string& path, OutboxLimits limits,
                                      std::string boot_id, const Moment& now) {
  ASSAY_ASSIGN(
      sqlite::Database database,
      sqlite::Database::open(path, {.durability = sqlite::Durability::kFull, .can_shrink = true}));
  ASSAY_TRY(database.check_integrity());
  if (auto migrated = database.migrate(kMigrations); !migrated)
    return std::move(migrated.error()).with_context(path);
  OutboxStore store(std::move(database), limits, std::move(boot_id));
  ASSAY_TRY(store.load(now));
  return store;
}

Result<void> OutboxStore::set_meta(const char* key, std::string_view bytes) {
  ASSAY_ASSIGN(sqlite::Statement * insert,
               database_.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"));
  return insert->bind(key, blob(bytes)).run();
}

Result<void> OutboxStore::set_epoch(const Epoch& epoch) {
  return set_meta("epoch", {reinterpret_cast<const char*>(epoch.data()), epoch.size()});
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

Result<void> OutboxStore::set_complete() {
  return set_meta("runs_complete", "1");
}

Result<bool> OutboxStore::is_complete() {
  ASSAY_ASSIGN(sqlite::Statement * query,
               database_.prepare("SELECT 1 FROM meta WHERE key = 'runs_complete'"));
  ASSAY_ASSIGN(const bool has_row, query->step());
  query->reset();
  return has_row;
}

Result<void> OutboxStore::load(const Moment& now) {
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
    is_new_ = true;
    ASSAY_ASSIGN(epoch_, random_epoch());
    ASSAY_TRY(database_.transaction([&]() -> Result<void> {
      ASSAY_TRY(set_epoch(epoch_));
      ASSAY_TRY(set_complete());  // with nothing ever told there is nothing to remember
      return keep_until(now);
    }));
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
                                                      const OutboxWrite& how,
                                                      const MakeGap& make_gap) {
  std::vector<OutgoingEvent> inserted;
  const std::uint64_t dropped_before = dropped_;
  auto done = database_.transaction([&]() -> Result<void> {
    if (how.acknowledged > 0) ASSAY_TRY(forget_until(how.acknowledged));
    for (const NewEvent& event : batch) {
      if (event.gap)
        ASSAY_TRY(insert_gap(*event.gap, how.handed_out, make_gap, inserted));
      else
        ASSAY_TRY(insert(event, inserted));
    }
    ASSAY_TRY(forget_stacks());
    ASSAY_ASSIGN(const DroppedEvents dropped, drop_over_cap(inserted));
    if (!dropped.is_empty()) ASSAY_TRY(insert_gap(dropped, how.handed_out, make_gap, inserted));
    if (how.is_complete) ASSAY_TRY(set_complete());
    ASSAY_TRY(keep_until(how.settled));
    return read_oldest();
  });
  if (!done) {
    dropped_ = dropped_before;
    (void)read_counts();  // what was counted was rolled back; a failure shows at the next write
    (void)read_oldest();
    return std::move(done.error());
  }
  // The room of a long outage; a failure costs nothing but that.
  if (how.acknowledged > 0) (void)database_.give_space_back(kSpareRoom);
  return inserted;
}

bool OutboxStore::may_drop(const std::vector<NewEvent>& batch) const {
  std::uint64_t bytes = bytes_;
  for (const NewEvent& event : batch) {
    if (event.gap) return true;
    bytes += event.payload.size() + event.stack_description.size();
  }
  return bytes > limits_.max_bytes;
}

Result<void> OutboxStore::insert_gap(DroppedEvents gap, std::uint64_t handed_out,
                                     const MakeGap& make_gap,
                                     std::vector<OutgoingEvent>& inserted) {
  ASSAY_TRY(take_back(gap, handed_out, inserted));
  ASSAY_TRY(insert(make_gap(gap), inserted));
  ASSAY_ASSIGN(sqlite::Statement * remember,
               database_.prepare("INSERT INTO gaps (sequence, reason, from_ns, until_ns, lost) "
                                 "VALUES (?, ?, ?, ?, ?)"));
  return remember
      ->bind(last_sequence_, gap.reason, to_unix_ns(gap.from), to_unix_ns(gap.until), gap.events)
      .run();
}

Result<void> OutboxStore::take_back(DroppedEvents& gap, std::uint64_t handed_out,
                                    std::vector<OutgoingEvent>& inserted) {
  ASSAY_ASSIGN(sqlite::Statement * query,
               database_.prepare("SELECT sequence FROM gaps WHERE reason = ? AND sequence > ? AND "
                                 "from_ns <= ? AND until_ns >= ? ORDER BY sequence DESC LIMIT 1"));
  query->bind(gap.reason, handed_out, to_unix_ns(gap.until + kOneGap),
              to_unix_ns(gap.from - kOneGap));
  ASSAY_ASSIGN(const bool has_row, query->step());
  if (!has_row) return ok();
  const auto sequence = static_cast<std::uint64_t>(query->integer(0));
  query->reset();
  std::erase_if(inserted, [&](const OutgoingEvent& event) { return event.sequence == sequence; });
  return drop(sequence, gap);
}

Result<void> OutboxStore::keep_until(const Moment& settled) {
  if (settled.boot <= BootTime{}) return ok();  // nothing was settled in this life yet
  ASSAY_ASSIGN(sqlite::Statement * keep, database_.prepare(R"sql(
    INSERT INTO kept_until (id, wall_ns, boot_ns, boot_id) VALUES (1, ?, ?, ?)
    ON CONFLICT DO UPDATE SET wall_ns = excluded.wall_ns, boot_ns = excluded.boot_ns,
      boot_id = excluded.boot_id
    WHERE boot_id <> excluded.boot_id OR boot_ns < excluded.boot_ns)sql"));
  const auto boot_ns = static_cast<std::int64_t>(settled.boot.count());
  return keep->bind(to_unix_ns(settled.wall), boot_ns, boot_id_).run();
}

Result<std::optional<KeptUntil>> OutboxStore::kept_until() {
  ASSAY_ASSIGN(sqlite::Statement * query,
               database_.prepare("SELECT wall_ns, boot_ns, boot_id FROM kept_until"));
  ASSAY_ASSIGN(const bool has_row, query->step());
  if (!has_row) return std::optional<KeptUntil>();
  const KeptUntil kept{{from_unix_ns(query->integer(0)), BootTime(query->integer(1))},
                       query->text(2) == boot_id_};
  query->reset();
  return std::optional<KeptUntil>(kept);
}

Result<std::vector<OpenRun>> OutboxStore::open_runs(OfBoot which) {
  return load_open_runs(database_, boot_id_, which);
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
  ASSAY_TRY(apply(database_, boot_id_, event.change));
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
  ASSAY_ASSIGN(sqlite::Statement * erase_gaps,
               database_.prepare("DELETE FROM gaps WHERE sequence <= ?"));
  ASSAY_TRY(erase_gaps->bind(sequence).run());
  events_ -= events;
  bytes_ -= bytes;
  acknowledged_ = std::max(acknowledged_, sequence);
  return set_acknowledged(acknowledged_);
}

Result<DroppedEvents> OutboxStore::drop_over_cap(std::vector<OutgoingEvent>& inserted) {
  DroppedEvents dropped;
  dropped.reason =
      "the outbox reached its limit of " + std::to_string(limits_.max_bytes) + " bytes";
  if (bytes_ <= limits_.max_bytes) return dropped;
  const std::uint64_t target = limits_.max_bytes / 10 * 9;  // room for a while, not for one event
  std::set<std::uint64_t> gone;
  while (bytes_ > target && events_ > 0) {
    ASSAY_ASSIGN(
        sqlite::Statement * oldest,
        database_.prepare(
            "SELECT sequence, length(payload) FROM events ORDER BY priority, sequence LIMIT ?"));
    oldest->bind(kDropBatch);
    std::vector<std::uint64_t> sequences;
    for (std::uint64_t freed = 0; bytes_ - freed > target;) {
      ASSAY_ASSIGN(const bool has_row, oldest->step());
      if (!has_row) break;
      sequences.push_back(static_cast<std::uint64_t>(oldest->integer(0)));
      freed += static_cast<std::uint64_t>(oldest->integer(1));
    }
    oldest->reset();
    for (const std::uint64_t sequence : sequences)
      ASSAY_TRY(drop(sequence, dropped));
    gone.insert(sequences.begin(), sequences.end());
    dropped_ += sequences.size();
  }
  std::erase_if(inserted,
                [&](const OutgoingEvent& event) { return gone.contains(event.sequence); });
  return dropped;
}

Result<void> OutboxStore::drop(std::uint64_t sequence, DroppedEvents& dropped) {
  ASSAY_ASSIGN(sqlite::Statement * erase_gap,
               database_.prepare("DELETE FROM gaps WHERE sequence = ? "
                                 "RETURNING from_ns, until_ns, lost"));
  ASSAY_ASSIGN(const bool was_gap, erase_gap->bind(sequence).step());
  DroppedEvents told;
  if (was_gap)
    told = {static_cast<std::uint64_t>(erase_gap->integer(2)),
            from_unix_ns(erase_gap->integer(0)),
            from_unix_ns(erase_gap->integer(1)),
            {}};
  erase_gap->reset();
  ASSAY_ASSIGN(sqlite::Statement * erase,
               database_.prepare(
                   "DELETE FROM events WHERE sequence = ? RETURNING time_ns, length(payload)"));
  ASSAY_TRY(erase->bind(sequence).step());
  const WallTime time = from_unix_ns(erase->integer(0));
  bytes_ -= static_cast<std::uint64_t>(erase->integer(1));
  --events_;
  erase->reset();
  if (was_gap)
    dropped.add(told);
  else
    dropped.add(time);
  return ok();
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
