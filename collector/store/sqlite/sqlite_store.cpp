// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/sqlite_store.h"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>

#include "collector/store/sqlite/file_set_rows.h"
#include "collector/store/sqlite/queries.h"
#include "collector/store/sqlite/scan_rows.h"
#include "collector/store/sqlite/schema.h"

namespace assay::collector {
namespace {

/// A revocation touches every index of 300,000 rows: their upper pages should stay in memory, and a
/// page that changes in many commits should be copied back once for many of them.
std::string writer_pragmas(std::uint64_t cache_bytes) {
  return "PRAGMA cache_size=-" + std::to_string(cache_bytes >> 10) + "; PRAGMA temp_store=MEMORY;";
}
constexpr int kCheckpointPages = 16'384;

/// A plain BEGIN takes its snapshot at the first read.
constexpr const char* kBeginNow = "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1;";

/// Two collectors on one file would be two writers, and two minds about what is acknowledged.
Result<UniqueFd> lock_store(const std::string& path) {
  const std::string lock_path = path + ".lock";
  UniqueFd fd(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd && errno == ENOENT)
    return Error{ErrorCode::kNotFound, "store " + path +
                                           ": its folder does not exist: make it (assay-collector "
                                           "init does) or configure another data_dir"};
  if (!fd) return system_error("store: open " + lock_path);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return system_error("store: lock " + lock_path);
  return Error{
      ErrorCode::kUnavailable,
      "store " + path + " is open in another collector: stop it or configure another path"};
}

}  // namespace

/// A read-only connection for the length of one query.
class SqliteStore::Lease {
 public:
  explicit Lease(SqliteStore& store) : store_(store) {
    std::unique_lock lock(store_.mutex_);
    store_.freed_.wait(lock, [&] { return !store_.free_.empty(); });
    take();
  }
  /// Takes one only if it is free now.
  Lease(SqliteStore& store, std::try_to_lock_t /*tag*/) : store_(store) {
    const std::lock_guard lock(store_.mutex_);
    if (!store_.free_.empty()) take();
  }
  ~Lease() {
    if (database_ == nullptr) return;
    if (is_reading_) (void)database_->execute("COMMIT");
    {
      const std::lock_guard lock(store_.mutex_);
      store_.free_.push_back(database_);
    }
    store_.freed_.notify_one();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  sqlite::Database* database() const { return database_; }  ///< null: none was free

  /// From here to its end it reads one snapshot, so that several statements agree with one another.
  Result<void> begin(const char* sql = "BEGIN") {
    is_reading_ = true;
    return database_->execute(sql);
  }
  template <typename Work>
  auto read(Work work) -> decltype(work(std::declval<sqlite::Database&>())) {
    ASSAY_TRY(begin());
    return work(*database_);
  }

 private:
  void take() {
    database_ = store_.free_.back();
    store_.free_.pop_back();
  }

  SqliteStore& store_;
  sqlite::Database* database_ = nullptr;
  bool is_reading_ = false;
};

SqliteStore::SqliteStore(UniqueFd lock, sqlite::Database writing,
                         std::vector<sqlite::Database> reading)
    : lock_(std::move(lock)),
      writing_(std::move(writing)),
      writer_(writing_),
      reading_(std::move(reading)) {
  for (auto& database : reading_)
    free_.push_back(&database);
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const SqliteStoreOptions& options) {
  ASSAY_ASSIGN(UniqueFd lock, lock_store(options.path));
  ASSAY_ASSIGN(sqlite::Database writing,
               sqlite::Database::open(options.path, {.checkpoint_pages = kCheckpointPages}));
  ASSAY_TRY(writing.execute(writer_pragmas(options.cache_bytes)));
  auto migrated = writing.migrate(migrations());
  if (!migrated) return std::move(migrated.error()).with_context("store " + options.path);
  std::vector<sqlite::Database> reading;
  for (int i = 0; i < options.readers; ++i) {
    ASSAY_ASSIGN(sqlite::Database database,
                 sqlite::Database::open(options.path, {sqlite::Durability::kFull, true}));
    reading.push_back(std::move(database));
  }
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::move(lock), std::move(writing), std::move(reading)));
}

Result<void> SqliteStore::write(const std::function<Result<void>(StoreWriter&)>& work) {
  return write_with("PRAGMA synchronous=FULL", work);
}

Result<void> SqliteStore::write_repeatable(const std::function<Result<void>(StoreWriter&)>& work) {
  return write_with("PRAGMA synchronous=NORMAL", work);
}

Result<void> SqliteStore::write_with(const char* synchronous,
                                     const std::function<Result<void>(StoreWriter&)>& work) {
  if (std::string_view(synchronous_) != synchronous) {
    ASSAY_TRY(writing_.execute(synchronous));
    synchronous_ = synchronous;
  }
  auto done = writing_.transaction([&] { return work(writer_); }, &commit_mutex_);
  if (!done) writer_.forget();
  return done;
}

Result<catalog::SignedLog> SqliteStore::load_catalog() {
  return Lease(*this).read(query_catalog);
}

Result<std::vector<std::string>> SqliteStore::base_file_sets(
    const std::vector<FileSetDigest>& digests) {
  return Lease(*this).read([&](sqlite::Database& database) -> Result<std::vector<std::string>> {
    std::vector<std::string> sets;
    for (const FileSetDigest& digest : digests) {
      ASSAY_ASSIGN(std::string bytes, load_base_file_set(database, digest));
      if (!bytes.empty()) sets.push_back(std::move(bytes));
    }
    return sets;
  });
}

Result<JudgingRound> SqliteStore::load_round() {
  return Lease(*this).read(query_round);
}

Result<Enrolments> SqliteStore::load_enrolments() {
  return Lease(*this).read(query_enrolments);
}

Result<std::vector<NodeView>> SqliteStore::load_nodes() {
  return Lease(*this).read(query_nodes);
}

Result<Page<RunView>> SqliteStore::list_runs(const RunFilter& filter, std::optional<Cursor> after,
                                             int limit) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_runs(database, filter, after, limit); });
}

Result<Page<FindingView>> SqliteStore::list_findings(const FindingFilter& filter,
                                                     std::optional<Cursor> after, int limit) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_findings(database, filter, after, limit); });
}

Result<TraceView> SqliteStore::trace(const std::string& target, const std::string& node) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_trace(database, target, node); });
}

Result<ImpactView> SqliteStore::impact(const std::string& base) {
  Lease first(*this);
  Lease second(*this, std::try_to_lock);
  {
    const std::lock_guard lock(commit_mutex_);  // the same snapshot for both
    ASSAY_TRY(first.begin(kBeginNow));
    if (second.database() != nullptr) ASSAY_TRY(second.begin(kBeginNow));
  }
  return query_impact(*first.database(), second.database(), base);
}

Result<void> SqliteStore::visit_running(const VisitRunning& visit) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_running(database, visit); });
}

Result<std::map<catalog::BaseId, catalog::ScanSummary>> SqliteStore::latest_scans() {
  return Lease(*this).read(query_latest_scans);
}

Result<std::vector<ScanView>> SqliteStore::list_scans(const ScanFilter& filter) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_scans(database, filter); });
}

Result<WhereView> SqliteStore::where(const std::string& vulnerability) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_where(database, vulnerability); });
}

Result<FindingDetailView> SqliteStore::finding(const std::string& id) {
  return Lease(*this).read([&](sqlite::Database& database) { return query_finding(database, id); });
}

Result<FindingCounts> SqliteStore::finding_counts() {
  return Lease(*this).read(query_finding_counts);
}

Result<std::vector<TokenRow>> SqliteStore::load_tokens() {
  return Lease(*this).read(query_tokens);
}

Result<Page<AuditEntry>> SqliteStore::list_audit(const AuditFilter& filter,
                                                 std::optional<Cursor> after, int limit) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_audit(database, filter, after, limit); });
}

Result<std::vector<AuditEntry>> SqliteStore::audit_log(int limit) {
  return Lease(*this).read(
      [&](sqlite::Database& database) { return query_audit_log(database, limit); });
}

}  // namespace assay::collector
