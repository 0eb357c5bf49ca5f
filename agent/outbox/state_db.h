// SPDX-License-Identifier: Apache-2.0
// state.db: what the agent may forget without losing evidence, but is slow or unsafe without: known
// layers, open runs, the trusted catalog (docs/formats/outbox.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/ports.h"
#include "common/base/bounded_queue.h"
#include "common/base/digest.h"
#include "common/base/mutex.h"
#include "common/sqlite/database.h"

namespace assay::agent {

/// The highest head that was ever trusted. It stays when the log itself no longer verifies.
struct CatalogFloor {
  std::string catalog_id;
  std::uint64_t sequence = 0;
  Sha256 last;  ///< SHA-256 of the envelope at `sequence`
  bool operator==(const CatalogFloor&) const = default;
};

/// The catalog's log as it was last trusted: envelope bytes as they were signed.
struct StoredCatalog {
  std::vector<std::string> statements;
  std::string head;
  std::optional<CatalogFloor> floor = std::nullopt;  ///< nothing: none was ever trusted
  bool operator==(const StoredCatalog&) const = default;
};

/// One connection behind a mutex. Changes of layers and runs are queued and written in groups by a
/// thread of its own, so that no caller waits for a disk; the catalog is written at once and
/// survives power loss. Thread-safe.
class StateDb final : public LayerCache, public OpenRuns {
 public:
  /// `boot_id`: of this boot; open runs of other boots are not loaded, they ended.
  /// Errors: kUnavailable, kCorrupt, kPermissionDenied, kUnsupported (written by a newer version).
  static Result<std::unique_ptr<StateDb>> open(const std::string& path, std::string boot_id);
  ~StateDb() override;

  std::optional<KnownLayer> find(const LayerKey& key) override;
  /// Queued. Errors: kUnavailable (the queue is full: the disk does not take writes).
  Result<void> store(const LayerKey& key, const KnownLayer& layer) override;

  void put(const OpenRun& run) override;
  void erase(const RunId& run_id) override;
  std::vector<OpenRun> load() override;
  std::vector<RunId> load_of_other_boots() override;
  bool is_complete() override;
  void set_complete() override;

  /// Nothing stored: an empty StoredCatalog. Errors: kUnavailable, kCorrupt.
  Result<StoredCatalog> load_catalog();
  /// Replaces the stored log and floor in one transaction, on disk when it returns.
  Result<void> save_catalog(const StoredCatalog& catalog);

  /// Writes all that is queued; false when `timeout` passed first.
  bool flush(std::chrono::milliseconds timeout);
  /// Changes that were lost to a full queue or a disk that refused, since the start.
  std::uint64_t dropped() const;

 private:
  using Change = std::function<Result<void>(sqlite::Database&)>;

  StateDb(sqlite::Database database, std::string boot_id);
  Result<void> bound_layers();
  Result<void> queue(Change change);
  void run(const std::stop_token& stop);
  void write(std::vector<Change> changes);

  const std::string boot_id_;
  mutable Mutex mutex_;
  sqlite::Database database_ ASSAY_GUARDED_BY(mutex_);
  BoundedQueue<Change> changes_;
  std::atomic<std::uint64_t> queued_{0};
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> failed_{0};
  Mutex flush_mutex_;
  std::condition_variable_any flushed_;
  std::jthread writer_;
};

}  // namespace assay::agent
