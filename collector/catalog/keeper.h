// SPDX-License-Identifier: Apache-2.0
// Keeps the signed log: verifies what is submitted against the pinned keys, and serves it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "collector/core/ports.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/catalog/log.h"

namespace assay::collector {

/// A log that was verified, with the catalog it replays into.
struct KeptLog {
  std::shared_ptr<const catalog::SignedLog> log;    // shared with readers
  std::shared_ptr<const catalog::Catalog> catalog;  // shared with the commit loop
  catalog::Head head;
  catalog::TrustRoot trust;  ///< the newest root that the trust file and the log led to
};

/// Verifies what the store holds. Errors: kUntrusted, kCorrupt: saying what to do.
Result<KeptLog> verify_stored(catalog::SignedLog log, const catalog::TrustRoot& trust);

/// Thread-safe. submit() verifies on the caller's thread, one at a time.
class SignedLogKeeper final : public CatalogKeeper {
 public:
  /// `on_change` is called after each committed change, on the submitting thread. `mark_key` signs
  /// freshness marks, nothing else. `ledger` and `clock` must outlive the keeper.
  SignedLogKeeper(KeptLog kept, catalog::TrustRoot trust, catalog::SigningKey mark_key,
                  Ledger& ledger, Clock& clock);
  /// Before the first submit.
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }

  /// Replaces the pinned keys. Errors: kUntrusted (what is kept does not verify against them); then
  /// the old ones stay.
  Result<void> set_trust(catalog::TrustRoot trust);

  std::shared_ptr<const catalog::SignedLog> log() const override;
  std::uint64_t sequence() const override;
  std::shared_ptr<const catalog::Catalog> catalog() const override { return held().catalog; }
  std::string mark() const override;
  Result<std::uint64_t> submit(const Actor& actor, catalog::SignedChange change,
                               std::vector<std::string> file_sets) override;
  /// Makes a new mark when the present one is older than `age`; says whether it did.
  bool renew_mark(std::chrono::nanoseconds age);
  /// Whether the newest root lets this collector's key make marks: agents refuse them else.
  bool is_mark_trusted() const;
  /// Whether the newest root asks for marks at all.
  bool wants_marks() const { return !held().trust.mark_keys.empty(); }
  std::uint64_t root_version() const { return held().trust.version; }
  const std::string& mark_key_id() const { return mark_key_.public_key().key_id(); }

 private:
  Result<KeptLog> verify_next(const KeptLog& held, const catalog::SignedChange& change,
                              const std::vector<std::string>& file_sets) const;
  KeptLog held() const;
  void hold(KeptLog next);
  std::string make_mark(const KeptLog& kept) const;

  catalog::TrustRoot trust_;  // of the trust file; guarded by submitting_
  const catalog::SigningKey mark_key_;
  Ledger& ledger_;
  Clock& clock_;
  std::function<void()> on_change_;
  Mutex submitting_;  // held through verification and commit, before mutex_
  mutable Mutex mutex_;
  KeptLog kept_ ASSAY_GUARDED_BY(mutex_);
  std::string mark_ ASSAY_GUARDED_BY(mutex_);
  WallTime marked_at_ ASSAY_GUARDED_BY(mutex_){};
};

}  // namespace assay::collector
