// SPDX-License-Identifier: Apache-2.0
#include "common/sqlite/foreign_table.h"

#include <sqlite3.h>

#include <memory>
#include <utility>

#include "common/base/encoding.h"
#include "common/sqlite/foreign_file.h"

namespace assay::sqlite {
namespace {

constexpr int kStepsBetweenChecks = 1000;
constexpr std::size_t kMaxMessageBytes = 200;

struct Closer {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using StatementPtr = std::unique_ptr<sqlite3_stmt, Closer>;

/// Only reading of tables; no function, no attached file, no pragma of the file's own.
int allow(void*, int action, const char*, const char*, const char*, const char*) {
  return action == SQLITE_SELECT || action == SQLITE_READ ? SQLITE_OK : SQLITE_DENY;
}

class ForeignTable {
 public:
  ForeignTable(const ReadAt& file, const ForeignLimits& limits, const std::stop_token& stop)
      : file_(file), limits_(limits), stop_(stop) {}

  Result<void> open() {
    if (!file_.is_registered()) return Error{ErrorCode::kInternal, "no room for a VFS"};
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2("foreign", &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                                     file_.name());
    database_.reset(handle);
    if (code != SQLITE_OK) return failure();
    set_limits();
    if (sqlite3_exec(handle,
                     "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
                     "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1024; PRAGMA query_only=ON;",
                     nullptr, nullptr, nullptr) != SQLITE_OK)
      return failure();
    sqlite3_set_authorizer(handle, allow, nullptr);
    sqlite3_progress_handler(handle, kStepsBetweenChecks, &ForeignTable::on_progress, this);
    return ok();
  }

  /// A root page is what an ordinary table has, and a view or a virtual table has not.
  Result<void> check_table(const std::string& table) {
    ASSAY_ASSIGN(
        const StatementPtr query,
        prepare("SELECT 1 FROM sqlite_schema WHERE type='table' AND rootpage>0 AND name='" + table +
                "'"));
    const int code = sqlite3_step(query.get());
    if (code == SQLITE_ROW) return ok();
    if (code != SQLITE_DONE) return failure();
    return Error{ErrorCode::kCorrupt, "it has no table " + table};
  }

  Result<void> each_row(const std::string& sql,
                        const std::function<Result<void>(std::string_view)>& visitor) {
    ASSAY_ASSIGN(const StatementPtr query, prepare(sql));
    std::uint64_t bytes_left = limits_.max_total_bytes;
    for (std::uint64_t row = 0;; ++row) {
      const int code = sqlite3_step(query.get());
      if (code == SQLITE_DONE) return ok();
      if (code != SQLITE_ROW) return failure();
      if (row == limits_.max_rows) return Error{ErrorCode::kLimitExceeded, "it has too many rows"};
      const auto* bytes = static_cast<const char*>(sqlite3_column_blob(query.get(), 0));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(query.get(), 0));
      if (size > bytes_left)
        return Error{ErrorCode::kLimitExceeded, "its rows hold too many bytes"};
      bytes_left -= size;
      ASSAY_TRY(visitor(bytes == nullptr ? std::string_view() : std::string_view(bytes, size)));
    }
  }

 private:
  void set_limits() {
    const std::pair<int, int> values[] = {{SQLITE_LIMIT_LENGTH, limits_.max_blob_bytes},
                                          {SQLITE_LIMIT_SQL_LENGTH, 1 << 16},
                                          {SQLITE_LIMIT_COLUMN, 100},
                                          {SQLITE_LIMIT_EXPR_DEPTH, 20},
                                          {SQLITE_LIMIT_COMPOUND_SELECT, 2},
                                          {SQLITE_LIMIT_VDBE_OP, 10'000},
                                          {SQLITE_LIMIT_FUNCTION_ARG, 8},
                                          {SQLITE_LIMIT_ATTACHED, 0},
                                          {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50},
                                          {SQLITE_LIMIT_VARIABLE_NUMBER, 1},
                                          {SQLITE_LIMIT_TRIGGER_DEPTH, 1},
                                          {SQLITE_LIMIT_WORKER_THREADS, 0}};
    for (const auto& [limit, value] : values)
      sqlite3_limit(database_.get(), limit, value);
    sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
    sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
    sqlite3_db_config(database_.get(), SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  }

  static int on_progress(void* self) {
    auto& table = *static_cast<ForeignTable*>(self);
    table.steps_ += kStepsBetweenChecks;
    return table.stop_.stop_requested() || table.steps_ > table.limits_.max_steps ? 1 : 0;
  }

  Result<StatementPtr> prepare(const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(database_.get(), sql.c_str(), static_cast<int>(sql.size()),
                                        &statement, nullptr);
    if (code != SQLITE_OK) return failure();
    return StatementPtr(statement);
  }

  Error failure() const {
    const std::string text =
        "SQLite: " + escape_untrusted(sqlite3_errmsg(database_.get()), kMaxMessageBytes);
    switch (sqlite3_errcode(database_.get()) & 0xff) {
      case SQLITE_INTERRUPT:
        if (stop_.stop_requested()) return {ErrorCode::kCancelled, "stopped"};
        return {ErrorCode::kLimitExceeded, "it takes too many steps to read"};
      case SQLITE_TOOBIG:
      case SQLITE_NOMEM:
        return {ErrorCode::kLimitExceeded, text};
      case SQLITE_IOERR:
        return {ErrorCode::kUnavailable, text};
      default:
        return {ErrorCode::kCorrupt, text};
    }
  }

  ForeignFile file_;  // before the connection, so that it goes after it
  const ForeignLimits& limits_;
  const std::stop_token& stop_;
  std::unique_ptr<sqlite3, Closer> database_;
  std::uint64_t steps_ = 0;
};

}  // namespace

Result<void> each_foreign_row(const ReadAt& file, const std::string& table,
                              const std::string& column, const ForeignLimits& limits,
                              const std::stop_token& stop,
                              const std::function<Result<void>(std::string_view)>& visitor) {
  ForeignTable foreign(file, limits, stop);
  ASSAY_TRY(foreign.open());
  ASSAY_TRY(foreign.check_table(table));
  return foreign.each_row("SELECT [" + column + "] FROM [" + table + "]", visitor);
}

}  // namespace assay::sqlite
