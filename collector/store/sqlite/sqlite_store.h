// SPDX-License-Identifier: Apache-2.0
// The store in one SQLite file: one writing connection, a few read-only ones.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "collector/core/store.h"
#include "collector/store/sqlite/writer.h"
#include "common/base/unique_fd.h"
#include "common/sqlite/database.h"

namespace assay::collector {

struct SqliteStoreOptions {
  std::string path;
  int readers = 4;                           ///< read-only connections, and so queries at a time
  std::uint64_t cache_bytes = 128ULL << 20;  ///< of the writing connection
};

/// See Store. write() is for one thread at a time; everything else is thread-safe and waits for a
/// free read-only connection.
class SqliteStore final : public Store {
 public:
  /// Opens or creates the file and brings its schema up to date.
  /// Errors: kUnavailable (also: another collector has it open), kNotFound (no such folder),
  /// kPermissionDenied, kCorrupt, kUnsupported (a newer schema).
  static Result<std::unique_ptr<SqliteStore>> open(const SqliteStoreOptions& options);

  Result<void> write(const std::function<Result<void>(StoreWriter&)>& work) override;
  Result<void> write_repeatable(const std::function<Result<void>(StoreWriter&)>& work) override;
  Result<catalog::SignedLog> load_catalog() override;
  Result<std::vector<std::string>> base_file_sets(
      const std::vector<FileSetDigest>& digests) override;
  Result<JudgingRound> load_round() override;
  Result<Enrolments> load_enrolments() override;
  Result<std::vector<NodeView>> load_nodes() override;
  Result<Page<RunView>> list_runs(const RunFilter& filter, std::optional<Cursor> after,
                                  int limit) override;
  Result<Page<FindingView>> list_findings(const FindingFilter& filter, std::optional<Cursor> after,
                                          int limit) override;
  Result<TraceView> trace(const std::string& target, const std::string& node) override;
  Result<ImpactView> impact(const std::string& base) override;
  Result<void> visit_running(const VisitRunning& visit) override;
  Result<std::map<catalog::BaseId, catalog::ScanSummary>> latest_scans() override;
  Result<std::vector<ScanView>> list_scans(const ScanFilter& filter) override;
  Result<WhereView> where(const std::string& vulnerability) override;
  Result<FindingDetailView> finding(const std::string& id) override;
  Result<FindingCounts> finding_counts() override;
  Result<std::vector<TokenRow>> load_tokens() override;
  Result<std::vector<AuditEntry>> audit_log(int limit) override;
  Result<Page<AuditEntry>> list_audit(const AuditFilter& filter, std::optional<Cursor> after,
                                      int limit) override;

 private:
  class Lease;
  SqliteStore(UniqueFd lock, sqlite::Database writing, std::vector<sqlite::Database> reading);

  Result<void> write_with(const char* synchronous,
                          const std::function<Result<void>(StoreWriter&)>& work);

  const UniqueFd lock_;  // released after the connections are closed
  sqlite::Database writing_;
  SqliteWriter writer_;
  const char* synchronous_ = "";  // as it is set on writing_
  std::vector<sqlite::Database> reading_;
  std::mutex mutex_;
  std::condition_variable freed_;
  std::mutex commit_mutex_;              // held while writing_ commits
  std::vector<sqlite::Database*> free_;  // guarded by mutex_
};

}  // namespace assay::collector
