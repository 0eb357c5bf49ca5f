// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/state_db.h"

#include <pthread.h>

namespace assay::agent {
namespace {

constexpr std::size_t kMaxQueued = 65'536;
constexpr std::size_t kMaxGroup = 1024;
constexpr std::chrono::minutes kIdleWait{1};           // work and a stop wake it
constexpr int kMaxLayers = 200'000;                    // rows kept; the oldest go first
constexpr std::uint64_t kMaxRecordBytes = 256U << 20;  // some 80 bytes a path

const std::vector<std::string> kMigrations = {R"sql(
  CREATE TABLE layers (
    file_system TEXT NOT NULL,
    inode INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    birth_ns INTEGER NOT NULL,
    id_map TEXT NOT NULL,
    overlay_options TEXT NOT NULL,
    fingerprint_version INTEGER NOT NULL,
    stored_ns INTEGER NOT NULL DEFAULT (unixepoch() * 1000000000),
    claimed BLOB, shape BLOB, content BLOB, deletions BLOB, exact BLOB,
    is_capped_at_shape INTEGER NOT NULL,
    is_mutable INTEGER NOT NULL,
    gap TEXT NOT NULL,
    entries INTEGER NOT NULL,
    content_bytes INTEGER NOT NULL,
    is_injected INTEGER NOT NULL,
    PRIMARY KEY (file_system, inode, generation, birth_ns, id_map, overlay_options,
                 fingerprint_version)) WITHOUT ROWID;
  CREATE TABLE open_runs (
    run_id TEXT PRIMARY KEY,
    boot_id TEXT NOT NULL,
    root_device INTEGER NOT NULL,
    root_inode INTEGER NOT NULL,
    root_generation INTEGER NOT NULL,
    root_magic INTEGER NOT NULL,
    cgroup_id INTEGER NOT NULL,
    first_tgid INTEGER NOT NULL,
    first_start_boot_ns INTEGER NOT NULL,
    stack BLOB NOT NULL) WITHOUT ROWID;
  CREATE TABLE catalog_statements (
    sequence INTEGER PRIMARY KEY,
    envelope BLOB NOT NULL);
  CREATE TABLE catalog_head (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    envelope BLOB NOT NULL);
)sql",
                                              R"sql(
  CREATE TABLE catalog_floor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    catalog_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    last BLOB NOT NULL);
)sql",
                                              // A cache: what lacks the column is read again.
                                              R"sql(
  ALTER TABLE layers ADD COLUMN about TEXT NOT NULL DEFAULT '';
  DELETE FROM layers;
)sql",
                                              // Open runs are in outbox.db, with their events.
                                              R"sql(
  DROP TABLE open_runs;
  CREATE TABLE delivery (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    epoch BLOB NOT NULL,
    until_ns INTEGER NOT NULL);
  CREATE TABLE time_floor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    time_ns INTEGER NOT NULL);
)sql",
                                              // Versions of the root, and the freshness mark.
                                              R"sql(
  CREATE TABLE catalog_roots (
    version INTEGER PRIMARY KEY,
    envelope BLOB NOT NULL);
  CREATE TABLE catalog_mark (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    envelope BLOB NOT NULL);
)sql",
                                              // A layer without a record is read again.
                                              std::string(LayerRecordTable::kSchema)};

sqlite::Statement::Blob blob(std::string_view bytes) {
  return {bytes};
}

Result<void> write_mark(sqlite::Database& database, std::string_view envelope) {
  ASSAY_ASSIGN(
      sqlite::Statement * insert,
      database.prepare("INSERT OR REPLACE INTO catalog_mark (id, envelope) VALUES (1, ?)"));
  return insert->bind(blob(envelope)).run();
}

template <typename DigestType>
std::optional<sqlite::Statement::Blob> blob(const std::optional<DigestType>& digest) {
  if (!digest) return std::nullopt;
  return blob(digest->raw());
}

template <typename DigestType>
Result<std::optional<DigestType>> read_digest(const sqlite::Statement& row, int column) {
  if (row.is_null(column)) return std::optional<DigestType>();
  ASSAY_ASSIGN(DigestType digest, DigestType::from_raw(row.text(column)));
  return std::optional<DigestType>(digest);
}

std::uint64_t unsigned_integer(const sqlite::Statement& row, int column) {
  return static_cast<std::uint64_t>(row.integer(column));
}

Result<KnownLayer> read_layer(const sqlite::Statement& row) {
  KnownLayer layer;
  ASSAY_ASSIGN(layer.evidence.claimed, read_digest<DiffId>(row, 0));
  ASSAY_ASSIGN(layer.evidence.shape, read_digest<ShapeDigest>(row, 1));
  ASSAY_ASSIGN(layer.evidence.content, read_digest<ContentDigest>(row, 2));
  ASSAY_ASSIGN(layer.evidence.deletions, read_digest<DeletionsDigest>(row, 3));
  ASSAY_ASSIGN(layer.evidence.exact, read_digest<DiffId>(row, 4));
  layer.evidence.is_capped_at_shape = row.integer(5) != 0;
  layer.evidence.is_mutable = row.integer(6) != 0;
  layer.evidence.gap = row.text(7);
  layer.entries = unsigned_integer(row, 8);
  layer.content_bytes = unsigned_integer(row, 9);
  layer.is_injected = row.integer(10) != 0;
  layer.about = row.text(11);
  return layer;
}

Result<void> write_layer(sqlite::Database& database, const LayerKey& key, const KnownLayer& layer) {
  ASSAY_ASSIGN(sqlite::Statement * insert, database.prepare(R"sql(
    INSERT OR REPLACE INTO layers (file_system, inode, generation, birth_ns, id_map,
      overlay_options, fingerprint_version, claimed, shape, content, deletions, exact,
      is_capped_at_shape, is_mutable, gap, entries, content_bytes, is_injected, about)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?))sql"));
  const catalog::LayerInstance& instance = key.instance;
  const catalog::LayerEvidence& evidence = layer.evidence;
  insert->bind(instance.file_system, instance.inode, instance.generation, instance.birth_ns,
               key.id_map, key.overlay_options, key.fingerprint_version, blob(evidence.claimed),
               blob(evidence.shape), blob(evidence.content), blob(evidence.deletions),
               blob(evidence.exact), evidence.is_capped_at_shape, evidence.is_mutable, evidence.gap,
               layer.entries, layer.content_bytes, layer.is_injected, layer.about);
  return insert->run();
}

Result<std::optional<CatalogFloor>> read_floor(sqlite::Database& database) {
  ASSAY_ASSIGN(sqlite::Statement * row,
               database.prepare("SELECT catalog_id, sequence, last FROM catalog_floor"));
  ASSAY_ASSIGN(const bool has_row, row->step());
  if (!has_row) return std::optional<CatalogFloor>();
  CatalogFloor floor{row->text(0), unsigned_integer(*row, 1), {}};
  auto last = Sha256::from_raw(row->text(2));
  row->reset();
  if (!last) return std::move(last.error()).with_context("state.db: the catalog's floor");
  floor.last = *last;
  return std::optional<CatalogFloor>(std::move(floor));
}

Result<void> write_floor(sqlite::Database& database, const CatalogFloor& floor) {
  ASSAY_ASSIGN(sqlite::Statement * insert,
               database.prepare("INSERT OR REPLACE INTO catalog_floor (id, catalog_id, sequence, "
                                "last) VALUES (1, ?, ?, ?)"));
  return insert->bind(floor.catalog_id, floor.sequence, blob(floor.last.raw())).run();
}

Result<StoredCatalog> load_from(sqlite::Database& database) {
  StoredCatalog catalog;
  ASSAY_ASSIGN(sqlite::Statement * statements,
               database.prepare("SELECT envelope FROM catalog_statements ORDER BY sequence"));
  for (;;) {
    ASSAY_ASSIGN(const bool has_row, statements->step());
    if (!has_row) break;
    catalog.statements.push_back(statements->text(0));
  }
  statements->reset();
  ASSAY_ASSIGN(sqlite::Statement * head, database.prepare("SELECT envelope FROM catalog_head"));
  ASSAY_ASSIGN(const bool has_head, head->step());
  if (has_head) catalog.head = head->text(0);
  head->reset();
  ASSAY_ASSIGN(sqlite::Statement * roots,
               database.prepare("SELECT envelope FROM catalog_roots ORDER BY version"));
  for (;;) {
    ASSAY_ASSIGN(const bool has_row, roots->step());
    if (!has_row) break;
    catalog.roots.push_back(roots->text(0));
  }
  roots->reset();
  ASSAY_ASSIGN(sqlite::Statement * mark, database.prepare("SELECT envelope FROM catalog_mark"));
  ASSAY_ASSIGN(const bool has_mark, mark->step());
  if (has_mark) catalog.mark = mark->text(0);
  mark->reset();
  ASSAY_ASSIGN(catalog.floor, read_floor(database));
  return catalog;
}

Result<sqlite::Database> open_database(const std::string& path) {
  ASSAY_ASSIGN(sqlite::Database database,
               sqlite::Database::open(path, {.durability = sqlite::Durability::kNormal}));
  ASSAY_TRY(database.check_integrity());
  if (auto migrated = database.migrate(kMigrations); !migrated)
    return std::move(migrated.error()).with_context(path);
  return database;
}

Result<void> run_all(sqlite::Database& database, const std::vector<std::string>& statements) {
  for (const std::string& statement : statements)
    ASSAY_TRY(database.execute(statement));
  return ok();
}

}  // namespace

Result<std::unique_ptr<StateDb>> StateDb::open(const std::string& path) {
  std::optional<SetAside> damaged;
  ASSAY_ASSIGN(sqlite::Database database,
               open_or_set_aside(path, damaged, [&] { return open_database(path); }));
  auto state = std::unique_ptr<StateDb>(new StateDb(std::move(database)));
  state->set_aside_ = std::move(damaged);
  ASSAY_TRY(state->bound_layers());
  state->writer_ =
      std::jthread([raw = state.get()](const std::stop_token& stop) { raw->run(stop); });
  ::pthread_setname_np(state->writer_.native_handle(), "assay-state");
  return state;
}

StateDb::StateDb(sqlite::Database database)
    : database_(std::move(database)), records_(kMaxRecordBytes), changes_(kMaxQueued) {}

StateDb::~StateDb() {
  writer_.request_stop();
  if (writer_.joinable()) writer_.join();
}

Result<void> StateDb::bound_layers() {
  const MutexLock lock(mutex_);
  return database_.transaction([this]() -> Result<void> {
    // The table is bounded; what was not stored again for longest goes first.
    ASSAY_ASSIGN(sqlite::Statement * layers, database_.prepare(R"sql(
      DELETE FROM layers WHERE (file_system, inode, generation, birth_ns, id_map, overlay_options,
        fingerprint_version) IN (SELECT file_system, inode, generation, birth_ns, id_map,
        overlay_options, fingerprint_version FROM layers ORDER BY stored_ns DESC
        LIMIT -1 OFFSET ?))sql"));
    return layers->bind(kMaxLayers).run();
  });
}

std::optional<KnownLayer> StateDb::find(const LayerKey& key) {
  const MutexLock lock(mutex_);
  auto query = database_.prepare(R"sql(
    SELECT claimed, shape, content, deletions, exact, is_capped_at_shape, is_mutable, gap, entries,
      content_bytes, is_injected, about
    FROM layers WHERE file_system = ? AND inode = ? AND generation = ? AND birth_ns = ?
      AND id_map = ? AND overlay_options = ? AND fingerprint_version = ?)sql");
  if (!query) return std::nullopt;
  sqlite::Statement& row = **query;
  row.bind(key.instance.file_system, key.instance.inode, key.instance.generation,
           key.instance.birth_ns, key.id_map, key.overlay_options, key.fingerprint_version);
  auto found = row.step();
  std::optional<KnownLayer> layer;
  if (found && *found) {
    // A row that cannot be read is as good as none: the layer is fingerprinted again.
    if (auto read = read_layer(row)) layer = std::move(*read);
  }
  row.reset();
  return layer;
}

Result<void> StateDb::store(const LayerKey& key, const KnownLayer& layer) {
  return queue(
      [key, layer](sqlite::Database& database) { return write_layer(database, key, layer); });
}

void StateDb::put_delivery(const Delivery& delivery) {
  (void)queue([delivery](sqlite::Database& database) -> Result<void> {
    ASSAY_ASSIGN(
        sqlite::Statement * insert,
        database.prepare("INSERT OR REPLACE INTO delivery (id, epoch, until_ns) VALUES (1, ?, ?)"));
    const std::string_view epoch(reinterpret_cast<const char*>(delivery.epoch.data()),
                                 delivery.epoch.size());
    return insert->bind(blob(epoch), to_unix_ns(delivery.until)).run();
  });
}

std::optional<Delivery> StateDb::delivery() {
  const MutexLock lock(mutex_);
  auto query = database_.prepare("SELECT epoch, until_ns FROM delivery");
  if (!query) return std::nullopt;
  auto found = (*query)->step();
  std::optional<Delivery> delivery;
  if (found && *found) {
    const std::string epoch = (*query)->text(0);
    delivery.emplace();
    epoch.copy(reinterpret_cast<char*>(delivery->epoch.data()), delivery->epoch.size());
    delivery->until = from_unix_ns((*query)->integer(1));
  }
  (*query)->reset();
  return delivery;
}

void StateDb::put_time_floor(WallTime floor) {
  (void)queue([floor](sqlite::Database& database) -> Result<void> {
    ASSAY_ASSIGN(sqlite::Statement * insert,
                 database.prepare("INSERT INTO time_floor (id, time_ns) VALUES (1, ?) ON CONFLICT "
                                  "DO UPDATE SET time_ns = max(time_ns, excluded.time_ns)"));
    return insert->bind(to_unix_ns(floor)).run();
  });
}

std::optional<WallTime> StateDb::time_floor() {
  const MutexLock lock(mutex_);
  auto query = database_.prepare("SELECT time_ns FROM time_floor");
  if (!query) return std::nullopt;
  auto found = (*query)->step();
  std::optional<WallTime> floor;
  if (found && *found) floor = from_unix_ns((*query)->integer(0));
  (*query)->reset();
  return floor;
}

Result<std::optional<KeptRecord>> StateDb::find_record(const catalog::LayerInstance& instance) {
  const MutexLock lock(mutex_);
  return records_.find(database_, instance);
}

Result<std::string> StateDb::find_tampered(const catalog::LayerInstance& instance) {
  const MutexLock lock(mutex_);
  return records_.find_tampered(database_, instance);
}

Result<void> StateDb::keep_record(const catalog::LayerInstance& instance, const KeptRecord& kept) {
  const MutexLock lock(mutex_);
  return records_.keep(database_, instance, kept);
}

Result<void> StateDb::renew_record(const catalog::LayerInstance& instance) {
  const MutexLock lock(mutex_);
  return records_.renew(database_, instance);
}

std::uint64_t StateDb::evicted_records() const {
  const MutexLock lock(mutex_);
  return records_.evicted();
}

Result<StoredCatalog> StateDb::load_catalog() {
  const MutexLock lock(mutex_);
  return load_from(database_);
}

Result<StoredCatalog> StateDb::read_catalog(const std::string& path) {
  ASSAY_ASSIGN(sqlite::Database database, sqlite::Database::open(path, {.read_only = true}));
  return load_from(database);
}

Result<void> StateDb::save_catalog(const StoredCatalog& catalog) {
  const MutexLock lock(mutex_);
  ASSAY_TRY(database_.transaction([&]() -> Result<void> {
    ASSAY_TRY(run_all(database_, {"DELETE FROM catalog_statements", "DELETE FROM catalog_head",
                                  "DELETE FROM catalog_roots", "DELETE FROM catalog_mark"}));
    ASSAY_ASSIGN(sqlite::Statement * root,
                 database_.prepare("INSERT INTO catalog_roots (version, envelope) VALUES (?, ?)"));
    for (std::size_t i = 0; i < catalog.roots.size(); ++i)
      ASSAY_TRY(root->bind(static_cast<std::uint64_t>(i + 1), blob(catalog.roots[i])).run());
    if (!catalog.mark.empty()) ASSAY_TRY(write_mark(database_, catalog.mark));
    ASSAY_ASSIGN(
        sqlite::Statement * insert,
        database_.prepare("INSERT INTO catalog_statements (sequence, envelope) VALUES (?, ?)"));
    for (std::size_t i = 0; i < catalog.statements.size(); ++i)
      ASSAY_TRY(insert->bind(static_cast<std::uint64_t>(i + 1), blob(catalog.statements[i])).run());
    ASSAY_ASSIGN(sqlite::Statement * head,
                 database_.prepare("INSERT INTO catalog_head (id, envelope) VALUES (1, ?)"));
    ASSAY_TRY(head->bind(blob(catalog.head)).run());
    return catalog.floor ? write_floor(database_, *catalog.floor) : ok();
  }));
  // synchronous=NORMAL leaves the last commits to the page cache; a head must never go back.
  return database_.execute("PRAGMA wal_checkpoint(TRUNCATE)");
}

void StateDb::put_catalog_mark(const std::string& envelope) {
  (void)queue([envelope](sqlite::Database& database) { return write_mark(database, envelope); });
}

Result<void> StateDb::queue(Change change) {
  if (!changes_.try_push(std::move(change)))
    return Error{ErrorCode::kUnavailable, "state.db does not take writes: its queue is full"};
  queued_.fetch_add(1);
  return ok();
}

void StateDb::run(const std::stop_token& stop) {
  // After a stop the queue is still written to its end: pop() hands out what is there.
  for (;;) {
    auto first = changes_.pop(stop, kIdleWait);
    if (!first) {
      if (!stop.stop_requested()) continue;
      if (changes_.size() == 0) return;
      continue;
    }
    std::vector<Change> group;
    group.push_back(std::move(*first));
    while (group.size() < kMaxGroup) {
      auto next = changes_.pop(stop, std::chrono::nanoseconds(0));
      if (!next) break;
      group.push_back(std::move(*next));
    }
    write(std::move(group));
  }
}

void StateDb::write(std::vector<Change> changes) {
  {
    const MutexLock lock(mutex_);
    auto done = database_.transaction([&]() -> Result<void> {
      for (const Change& change : changes)
        ASSAY_TRY(change(database_));
      return ok();
    });
    if (!done) failed_.fetch_add(changes.size());
    error_ = done ? std::string() : done.error().text();
  }
  {
    const MutexLock lock(flush_mutex_);
    written_.fetch_add(changes.size());
  }
  flushed_.notify_all();
}

bool StateDb::flush(std::chrono::milliseconds timeout) {
  const std::uint64_t until = queued_.load();
  std::unique_lock lock(flush_mutex_);
  return flushed_.wait_for(lock, timeout, [&] { return written_.load() >= until; });
}

std::string StateDb::error() const {
  const MutexLock lock(mutex_);
  return error_;
}

std::uint64_t StateDb::dropped() const {
  return changes_.dropped() + failed_.load();
}

}  // namespace assay::agent
