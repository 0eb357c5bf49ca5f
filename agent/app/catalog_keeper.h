// SPDX-License-Identifier: Apache-2.0
// The catalog that this node trusts: verified, kept across restarts, never replaced by an older
// one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "agent/core/outgoing.h"
#include "agent/outbox/state_db.h"
#include "common/base/bounded_queue.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/catalog/log.h"

namespace assay::agent {

/// Verifies offered logs on a thread of its own, the newest first. A log that cannot be stored is
/// not used; storing it is tried again every ten seconds. Thread-safe.
class CatalogKeeper {
 public:
  struct Callbacks {
    std::function<void(std::shared_ptr<const catalog::Catalog>)> on_trusted;
    /// `sequence`: of the refused head, 0 when even that cannot be read.
    std::function<void(std::uint64_t sequence, const std::string& reason)> on_refused;
    /// A head issued at this time was verified.
    std::function<void(WallTime issued_at)> on_time = [](WallTime) {};
  };

  /// Without `trust` every catalog is refused. `state` and `clock` outlive the keeper.
  CatalogKeeper(std::optional<catalog::TrustRoot> trust, StateDb& state, const Clock& clock,
                Callbacks callbacks);

  /// Verifies and takes what was stored. Nothing stored is fine. Call once, first.
  /// Errors: kUntrusted (the stored log no longer verifies: the trust file changed, or the disk was
  /// tampered with), kUnavailable; the keeper then goes on without a catalog, and its status says
  /// so.
  Result<void> load();
  /// Queues an offer; returns at once. Call after load().
  void offer(catalog::SignedLog log);  // or a mark alone
  /// Replaces the keys. What is held is verified again; when it fails, nothing is held any more
  /// (on_trusted gets an empty catalog). Returns at once. Call after load().
  void set_trust(std::optional<catalog::TrustRoot> trust);
  CatalogStatus status() const;

 private:
  void run(const std::stop_token& stop);
  void take_new_trust();
  Result<void> load_stored(std::uint64_t& sequence);
  void refuse(std::uint64_t sequence, const std::string& reason);
  void note_refusal(std::uint64_t sequence, const std::string& reason);
  void consider(const catalog::SignedLog& log);
  void consider_mark(const std::string& envelope);
  Result<catalog::Head> check_mark(const std::string& envelope) const;
  /// The pinned keys, with the versions of the root that were trusted later.
  void pin(std::optional<catalog::TrustRoot> trust, const std::vector<std::string>& roots);
  Result<void> accept(const catalog::SignedLog& log, bool is_stored);
  /// Refuses a log below or beside what was ever trusted; says whether `head` is above it.
  Result<bool> check_not_lower(const catalog::SignedLog& log, const catalog::Head& head);
  void hold(catalog::VerifiedLog verified, const std::string& head);

  std::optional<catalog::TrustRoot> pinned_;    // the thread's, once loaded: of the trust file
  std::optional<catalog::SignedLog> unstored_;  // the thread's: verified, but the disk refused it
  StateDb& state_;
  const Clock& clock_;
  const Callbacks callbacks_;
  mutable Mutex mutex_;
  std::optional<catalog::Head> held_ ASSAY_GUARDED_BY(mutex_);
  std::optional<CatalogFloor> floor_ ASSAY_GUARDED_BY(mutex_);
  std::string held_head_ ASSAY_GUARDED_BY(mutex_);                    // its envelope's bytes
  std::optional<catalog::TrustRoot> trust_ ASSAY_GUARDED_BY(mutex_);  // in use
  std::optional<catalog::Head> mark_ ASSAY_GUARDED_BY(mutex_);
  std::string mark_bytes_ ASSAY_GUARDED_BY(mutex_);
  std::optional<std::optional<catalog::TrustRoot>> new_trust_ ASSAY_GUARDED_BY(mutex_);
  std::string refused_ ASSAY_GUARDED_BY(mutex_);
  std::uint64_t refused_sequence_ ASSAY_GUARDED_BY(mutex_) = 0;
  BoundedQueue<std::optional<catalog::SignedLog>> offers_{4};  // nothing: look at new_trust_
  std::jthread thread_;
};

}  // namespace assay::agent
