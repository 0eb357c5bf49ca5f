// SPDX-License-Identifier: Apache-2.0
// SQLite behind Result<T>: connections, statements, transactions, numbered migrations.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace assay::sqlite {

enum class Durability {
  kFull,    ///< synchronous=FULL: a committed transaction survives power loss
  kNormal,  ///< synchronous=NORMAL: consistent after power loss, the last commits may be gone
};

struct OpenOptions {
  Durability durability = Durability::kFull;
  bool read_only = false;
  /// Pages of 4 KiB in the WAL after which the writer copies them back. At eight times as many it
  /// waits (at most ten seconds) for readers to let go, so that the WAL's size is bounded.
  int checkpoint_pages = 1000;
  /// Of a file that is made now: its end can be given back by give_space_back().
  bool can_shrink = false;
};

/// A prepared statement, bound and stepped. Not thread-safe; must not outlive its database.
class Statement {
 public:
  Statement(Statement&&) noexcept = default;
  Statement& operator=(Statement&&) noexcept = default;

  /// Binds all parameters in order; text is UTF-8, blobs are bytes. Clears earlier bindings.
  template <typename... Values>
  Statement& bind(const Values&... values) {
    reset();
    int index = 0;
    (bind_one(++index, values), ...);
    return *this;
  }
  /// True when a row is there, false at the end. Errors: kUnavailable (busy, I/O, full), kCorrupt.
  Result<bool> step();
  /// Steps to the end, ignoring rows.
  Result<void> run();
  void reset();

  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;  ///< text or blob as bytes; "" for NULL
  /// The same without a copy: valid until the next step, reset or bind.
  std::string_view view(int column) const;
  bool is_null(int column) const;

  struct Blob {
    std::string_view bytes;
  };

 private:
  friend class Database;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  void bind_one(int index, std::int64_t value);
  void bind_one(int index, std::uint64_t value) {
    bind_one(index, static_cast<std::int64_t>(value));
  }
  void bind_one(int index, int value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, unsigned value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, bool value) { bind_one(index, static_cast<std::int64_t>(value)); }
  void bind_one(int index, double value);
  void bind_one(int index, std::string_view value);
  void bind_one(int index, const std::string& value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, const char* value) { bind_one(index, std::string_view(value)); }
  void bind_one(int index, Blob value);
  void bind_one(int index, std::nullptr_t);
  template <typename T>
  void bind_one(int index, const std::optional<T>& value) {
    if (value)
      bind_one(index, *value);
    else
      bind_one(index, nullptr);
  }

  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

/// One connection. Use it from one thread at a time. Debian 12's 3.40.1 has the WAL-reset defect
/// with several checkpointing connections (sqlite.org/wal.html#walresetbug), so each file has one
/// writing connection, and only that one checkpoints; read-only connections never do.
class Database {
 public:
  /// Opens or creates `path` in WAL mode, mode 0600. Errors: kUnavailable, kCorrupt,
  /// kPermissionDenied.
  static Result<Database> open(const std::string& path, const OpenOptions& options);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  /// Prepares once per distinct text and hands out the same statement again, reset.
  Result<Statement*> prepare(std::string_view sql);
  /// Runs one or more statements without parameters.
  Result<void> execute(const std::string& sql);
  /// BEGIN IMMEDIATE, `work`, COMMIT; ROLLBACK when `work` fails. `commit_lock` is held while it
  /// commits: who holds it can begin several readers on one state of the file.
  Result<void> transaction(const std::function<Result<void>()>& work,
                           std::mutex* commit_lock = nullptr);
  /// Cuts at most `pages` that hold nothing off the file's end, once at least as many are free.
  /// Does nothing in a file that was not made with can_shrink. Errors: kUnavailable.
  Result<void> give_space_back(int pages);
  /// Reads the whole file and checks its structure (PRAGMA quick_check). Errors: kCorrupt, with
  /// what was found first; kUnavailable.
  Result<void> check_integrity();
  /// Applies migrations[n] for every n ≥ PRAGMA user_version, each in its own transaction.
  /// Errors: kUnsupported (the file was written by a newer version).
  Result<void> migrate(const std::vector<std::string>& migrations);
  std::int64_t changes() const;
  std::int64_t last_insert_id() const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const;
  };
  struct Cache;
  struct CacheDeleter {
    void operator()(Cache* cache) const;
  };
  struct Checkpoints;
  struct CheckpointsDeleter {
    void operator()(Checkpoints* checkpoints) const;
  };
  Database() = default;
  Error failure(std::string_view what) const;

  std::unique_ptr<Checkpoints, CheckpointsDeleter> checkpoints_;  // used by handle_'s hook
  std::unique_ptr<sqlite3, Closer> handle_;
  std::unique_ptr<Cache, CacheDeleter> cache_;  // destroyed before handle_
};

}  // namespace assay::sqlite
