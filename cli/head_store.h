// SPDX-License-Identifier: Apache-2.0
// The highest catalog head this person's machine has seen: a collector that was rolled back, or
// that suddenly serves another catalog, is noticed before anything is signed on top of it.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/catalog/log.h"

namespace assay::cli {

/// Small files in one folder: the head of each catalog id, and which catalog each collector (under
/// one set of trusted keys) has served. Not thread-safe.
class HeadStore {
 public:
  /// `folder`: made with the first remember().
  explicit HeadStore(std::string folder) : folder_(std::move(folder)) {}
  /// $XDG_STATE_HOME/assay or ~/.local/state/assay. Errors: kNotFound (neither variable is set).
  static Result<HeadStore> open_default();

  /// Refuses a log that is older than, or no continuation of, what was seen before.
  /// Errors: kUntrusted (what was seen, what is served, and which file to remove when the collector
  /// was set up anew on purpose), kCorrupt (our own file).
  Result<void> check(const std::string& collector, const catalog::TrustRoot& trust,
                     const catalog::SignedLog& log, const catalog::Head& head) const;
  /// The same of a log that came as a file: only the head of its catalog id is compared.
  Result<void> check_file(const catalog::SignedLog& log, const catalog::Head& head) const;
  Result<void> remember_file(const catalog::SignedLog& log, const catalog::Head& head) const;
  /// Keeps `log`'s head as the highest one; nothing for an empty log.
  /// Errors: kPermissionDenied, kUnavailable.
  Result<void> remember(const std::string& collector, const catalog::TrustRoot& trust,
                        const catalog::SignedLog& log, const catalog::Head& head) const;

 private:
  Result<void> check_head(const catalog::SignedLog& log, const catalog::Head& head,
                          const std::string& whose) const;
  std::string head_file(const std::string& catalog_id) const;
  std::string collector_file(const std::string& collector, const catalog::TrustRoot& trust) const;

  std::string folder_;
};

}  // namespace assay::cli
