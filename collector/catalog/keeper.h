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
};

/// Verifies what the store holds. Errors: kUntrusted, kCorrupt: saying what to do.
Result<KeptLog> verify_stored(catalog::SignedLog log, const catalog::TrustRoot& trust);

/// Thread-safe. submit() verifies on the caller's thread, one at a time.
class SignedLogKeeper final : public CatalogKeeper {
 public:
  /// `on_change` is called after each committed change, on the submitting thread. `ledger` and
  /// `clock` must outlive the keeper.
  SignedLogKeeper(KeptLog kept, catalog::TrustRoot trust, Ledger& ledger, Clock& clock);
  /// Before the first submit.
  void set_on_change(std::function<void()> on_change) { on_change_ = std::move(on_change); }

  /// Replaces the pinned keys. Errors: kUntrusted (what is kept does not verify against them); then
  /// the old ones stay.
  Result<void> set_trust(catalog::TrustRoot trust);

  std::shared_ptr<const catalog::SignedLog> log() const override;
  std::uint64_t sequence() const override;
  std::shared_ptr<const catalog::Catalog> catalog() const override { return held().catalog; }
  Result<std::uint64_t> submit(const std::string& actor, std::string statement, std::string head,
                               std::vector<std::string> file_sets) override;

 private:
  Result<KeptLog> verify_next(const KeptLog& held, const std::string& statement,
                              const std::string& head,
                              const std::vector<std::string>& file_sets) const;
  KeptLog held() const;

  catalog::TrustRoot trust_;  // guarded by submitting_
  Ledger& ledger_;
  Clock& clock_;
  std::function<void()> on_change_;
  Mutex submitting_;  // held through verification and commit, before mutex_
  mutable Mutex mutex_;
  KeptLog kept_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
