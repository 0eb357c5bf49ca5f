// SPDX-License-Identifier: Apache-2.0
// state.db: what the agent may forget without losing evidence, but is slow or unsafe without: known
// layers, the trusted catalog, how far the outbox was delivered (docs/formats/outbox.md).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/core/outgoing.h"
#include "agent/core/ports.h"
#include "agent/outbox/layer_record_table.h"
#include "agent/outbox/set_aside.h"
#include "common/base/bounded_queue.h"
#include "common/base/digest.h"
#include "common/base/mutex.h"
#include "common/sqlite/database.h"

namespace assay::agent {

/// The highest head that was ever trusted. It stays when the log itself no longer verifies.
struct CatalogFloor {
  std::string catalog_id;
  std::uint64_t sequence = 0;
  Sha256 last;  ///< SHA-256 of the statement's payload at `sequence`
  bool operator==(const CatalogFloor&) const = default;
};

/// The catalog's log as it was last trusted: envelope bytes as they were signed.
struct StoredCatalog {
  std::vector<std::string> statements;
  std::string head;
  std::optional<CatalogFloor> floor = std::nullopt;  ///< nothing: none was ever trusted
  std::vector<std::string> roots = {};               ///< versions of the root that were trusted
  std::string mark = {};                             ///< the newest freshness mark, "" for none
  bool operator==(const StoredCatalog&) const = default;
};

/// How far an outbox was delivered: what a lost one could have held is younger.
struct Delivery {
  Epoch epoch{};
  WallTime until{};  ///< everything that happened before was acknowledged
  bool operator==(const Delivery&) const = default;
};

/// One connection behind a mutex. Changes are queued and written in groups by a thread of its own,
/// so that no caller waits for a disk; the catalog is written at once and survives power loss.
/// Thread-safe.
class StateDb final : public LayerCache, public LayerRecords {
 public:
  /// Opens or makes the file. A damaged one is set aside and replaced by an empty one.
  /// Errors: kUnavailable, kPermissionDenied, kUnsupported (written by a newer version).
  static Result<std::unique_ptr<StateDb>> open(const std::string& path);
  ~StateDb() override;
  /// The damaged file that this one replaced.
  const std::optional<SetAside>& set_aside() const { return set_aside_; }

  std::optional<KnownLayer> find(const LayerKey& key) override;
  /// Queued. Errors: kUnavailable (the queue is full: the disk does not take writes).
  Result<void> store(const LayerKey& key, const KnownLayer& layer) override;

  Result<std::optional<KeptRecord>> find_record(const catalog::LayerInstance& instance) override;
  Result<std::string> find_tampered(const catalog::LayerInstance& instance) override;
  Result<void> keep_record(const catalog::LayerInstance& instance, const KeptRecord& kept) override;
  Result<void> renew_record(const catalog::LayerInstance& instance) override;
  /// Records that went because their table was full, since the start.
  std::uint64_t evicted_records() const;

  /// Queued.
  void put_delivery(const Delivery& delivery);
  /// Nothing: none was ever put.
  std::optional<Delivery> delivery();

  /// The latest time that the agent was sure of, so that dates in the catalog never come back.
  void put_time_floor(WallTime floor);
  std::optional<WallTime> time_floor();

  /// Nothing stored: an empty StoredCatalog. Errors: kUnavailable, kCorrupt.
  Result<StoredCatalog> load_catalog();
  /// The same from a file that an agent may be using. Errors: kNotFound, kUnavailable, kCorrupt.
  static Result<StoredCatalog> read_catalog(const std::string& path);
  /// Replaces the stored log and floor in one transaction, on disk when it returns.
  Result<void> save_catalog(const StoredCatalog& catalog);
  /// Replaces the mark. Queued.
  void put_catalog_mark(const std::string& envelope);

  /// Writes all that is queued; false when `timeout` passed first.
  bool flush(std::chrono::milliseconds timeout);
  /// Why the last write failed, "" when it did not.
  std::string error() const;
  /// Changes that were lost to a full queue or a disk that refused, since the start.
  std::uint64_t dropped() const;

 private:
  using Change = std::function<Result<void>(sqlite::Database&)>;

  explicit StateDb(sqlite::Database database);
  Result<void> bound_layers();
  Result<void> queue(Change change);
  void run(const std::stop_token& stop);
  void write(std::vector<Change> changes);

  std::optional<SetAside> set_aside_;
  mutable Mutex mutex_;
  sqlite::Database database_ ASSAY_GUARDED_BY(mutex_);
  LayerRecordTable records_ ASSAY_GUARDED_BY(mutex_);
  BoundedQueue<Change> changes_;
  std::atomic<std::uint64_t> queued_{0};
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::string error_ ASSAY_GUARDED_BY(mutex_);
  Mutex flush_mutex_;
  std::condition_variable_any flushed_;
  std::jthread writer_;
};

}  // namespace assay::agent
