// SPDX-License-Identifier: Apache-2.0
#include "common/sqlite/database.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <map>

namespace assay::sqlite {
namespace {

constexpr int kBusyTimeoutMs = 10'000;
constexpr int kForcedCheckpointFactor = 8;
constexpr int kPageBytes = 4096;

Error error_of(sqlite3* handle, std::string_view what) {
  const int code = handle == nullptr ? SQLITE_NOMEM : sqlite3_errcode(handle) & 0xff;
  ErrorCode mapped = ErrorCode::kUnavailable;
  if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) mapped = ErrorCode::kCorrupt;
  if (code == SQLITE_PERM || code == SQLITE_READONLY) mapped = ErrorCode::kPermissionDenied;
  if (code == SQLITE_CONSTRAINT) mapped = ErrorCode::kAlreadyExists;
  if (code == SQLITE_ERROR || code == SQLITE_MISUSE) mapped = ErrorCode::kInternal;
  return Error{mapped, std::string(what) + ": " +
                           (handle == nullptr ? "out of memory" : sqlite3_errmsg(handle))};
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

void Statement::reset() {
  sqlite3_reset(statement_.get());
  sqlite3_clear_bindings(statement_.get());
}

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  Error error = error_of(sqlite3_db_handle(statement_.get()), sqlite3_sql(statement_.get()));
  sqlite3_reset(statement_.get());
  return error;
}

Result<void> Statement::run() {
  for (;;) {
    auto row = step();
    if (!row) return std::move(row.error());
    if (!*row) break;
  }
  sqlite3_reset(statement_.get());
  return ok();
}

std::int64_t Statement::integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::real(int column) const {
  return sqlite3_column_double(statement_.get(), column);
}

std::string Statement::text(int column) const {
  return std::string(view(column));
}

std::string_view Statement::view(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  const int size = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string_view()
                          : std::string_view(bytes, static_cast<std::size_t>(size));
}

bool Statement::is_null(int column) const {
  return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

void Statement::bind_one(int index, std::int64_t value) {
  ASSAY_ASSERT(sqlite3_bind_int64(statement_.get(), index, value) == SQLITE_OK);
}

void Statement::bind_one(int index, double value) {
  ASSAY_ASSERT(sqlite3_bind_double(statement_.get(), index, value) == SQLITE_OK);
}

void Statement::bind_one(int index, std::string_view value) {
  ASSAY_ASSERT(sqlite3_bind_text64(statement_.get(), index, value.data() ? value.data() : "",
                                   value.size(), SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK);
}

void Statement::bind_one(int index, Blob value) {
  ASSAY_ASSERT(sqlite3_bind_blob64(statement_.get(), index,
                                   value.bytes.data() ? value.bytes.data() : "", value.bytes.size(),
                                   SQLITE_TRANSIENT) == SQLITE_OK);
}

void Statement::bind_one(int index, std::nullptr_t) {
  ASSAY_ASSERT(sqlite3_bind_null(statement_.get(), index) == SQLITE_OK);
}

struct Database::Cache {
  std::map<std::string, Statement, std::less<>> statements;
};

void Database::CacheDeleter::operator()(Cache* cache) const {
  delete cache;
}

/// When the writer's WAL is copied back into the file. SQLite's own rule (wal_autocheckpoint) never
/// waits for a reader, so that steady reading can make the WAL grow without end.
struct Database::Checkpoints {
  int pages = 0;
  int forced_at = 0;  ///< pages in the WAL at the last attempt to empty it

  void run(sqlite3* database, const char* name, int in_wal) {
    if (in_wal < forced_at) forced_at = 0;
    if (in_wal < pages) return;
    const bool is_forced = in_wal >= pages * kForcedCheckpointFactor && in_wal - forced_at >= pages;
    if (is_forced) forced_at = in_wal;
    // A failure shows at the commits to come; what is in the WAL is safe.
    (void)sqlite3_wal_checkpoint_v2(
        database, name, is_forced ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, nullptr,
        nullptr);
  }
  static int on_commit(void* self, sqlite3* database, const char* name, int in_wal) {
    static_cast<Checkpoints*>(self)->run(database, name, in_wal);
    return SQLITE_OK;
  }
};

void Database::CheckpointsDeleter::operator()(Checkpoints* checkpoints) const {
  delete checkpoints;
}

void Database::Closer::operator()(sqlite3* database) const {
  sqlite3_close_v2(database);
}

Error Database::failure(std::string_view what) const {
  return error_of(handle_.get(), what);
}

Result<Database> Database::open(const std::string& path, const OpenOptions& options) {
  Database database;
  const mode_t previous = ::umask(0077);
  sqlite3* handle = nullptr;
  const int flags =
      options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  ::umask(previous);
  database.handle_.reset(handle);
  database.cache_.reset(new Cache);
  if (code != SQLITE_OK) return database.failure("open " + path);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyTimeoutMs);
  std::string setup = "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;";
  if (options.can_shrink) setup += "PRAGMA auto_vacuum=INCREMENTAL;";  // before the first page
  if (options.read_only)
    setup += "PRAGMA wal_autocheckpoint=0; PRAGMA query_only=ON;";
  else
    setup += "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=" +
             std::to_string(std::int64_t{options.checkpoint_pages} * kPageBytes) + ";";
  setup += options.durability == Durability::kFull ? "PRAGMA synchronous=FULL;"
                                                   : "PRAGMA synchronous=NORMAL;";
  if (auto done = database.execute(setup); !done)
    return std::move(done.error()).with_context("open " + path);
  if (options.read_only) return database;
  database.checkpoints_.reset(new Checkpoints{options.checkpoint_pages});
  sqlite3_wal_hook(handle, Checkpoints::on_commit, database.checkpoints_.get());
  return database;
}

Result<Statement*> Database::prepare(std::string_view sql) {
  if (auto found = cache_->statements.find(sql); found != cache_->statements.end()) {
    found->second.reset();
    return &found->second;
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK)
    return failure(sql);
  return &cache_->statements.emplace(std::string(sql), Statement(statement)).first->second;
}

Result<void> Database::execute(const std::string& sql) {
  if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
    return failure(std::string_view(sql).substr(0, 200));
  return ok();
}

Result<void> Database::transaction(const std::function<Result<void>()>& work,
                                   std::mutex* commit_lock) {
  ASSAY_TRY(execute("BEGIN IMMEDIATE"));
  auto done = work();
  if (done) {
    std::unique_lock<std::mutex> lock;
    if (commit_lock != nullptr) lock = std::unique_lock(*commit_lock);
    done = execute("COMMIT");
  }
  if (!done) (void)execute("ROLLBACK");  // the first error is the one to report
  return done;
}

Result<void> Database::give_space_back(int pages) {
  ASSAY_ASSIGN(Statement * query, prepare("PRAGMA freelist_count"));
  ASSAY_TRY(query->step());
  const auto free_pages = query->integer(0);
  query->reset();
  if (free_pages < pages) return ok();
  return execute("PRAGMA incremental_vacuum(" + std::to_string(pages) + ")");
}

Result<void> Database::check_integrity() {
  ASSAY_ASSIGN(Statement * query, prepare("PRAGMA quick_check(1)"));
  ASSAY_TRY(query->step());
  const std::string found = query->text(0);
  query->reset();
  if (found == "ok") return ok();
  return Error{ErrorCode::kCorrupt, "the database is damaged: " + found};
}

Result<void> Database::migrate(const std::vector<std::string>& migrations) {
  ASSAY_ASSIGN(Statement * query, prepare("PRAGMA user_version"));
  ASSAY_TRY(query->step());
  const auto version = static_cast<std::size_t>(query->integer(0));
  query->reset();
  if (version > migrations.size())
    return Error{ErrorCode::kUnsupported, "the database is of schema version " +
                                              std::to_string(version) + ", this program knows " +
                                              std::to_string(migrations.size()) +
                                              ": use the newer program"};
  for (std::size_t next = version; next < migrations.size(); ++next) {
    const std::string mark = "PRAGMA user_version=" + std::to_string(next + 1);
    ASSAY_TRY(transaction([&]() -> Result<void> {
      ASSAY_TRY(execute(migrations[next]));
      return execute(mark);
    }));
  }
  return ok();
}

std::int64_t Database::changes() const {
  return sqlite3_changes64(handle_.get());
}

std::int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(handle_.get());
}

}  // namespace assay::sqlite
