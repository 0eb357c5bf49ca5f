// SPDX-License-Identifier: Apache-2.0
// What containers see of their bases, as rows of `assay node verify`.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "agent/core/auditor.h"
#include "common/catalog/verification.h"
#include "common/catalog/view.h"

namespace assay::agent {

/// The row of one run. Nothing: it has no base that is known to its last byte, so there is nothing
/// to compare with, and no mount hides anything.
std::optional<catalog::VerifiedLayer> view_row(const catalog::VerifiedContainer& run,
                                               const catalog::View& view);

/// Collects the rows of several runs.
class ViewRows {
 public:
  using Rows = std::vector<catalog::VerifiedLayer>;

  /// Has all of `runs` looked into; `then` is called once, on the auditor's thread (this one), when
  /// the last one was told. Runs that ended meanwhile have no row.
  static void collect(Auditor& auditor, const std::vector<catalog::VerifiedContainer>& runs,
                      std::function<void(Rows)> then);

 private:
  explicit ViewRows(std::function<void(Rows)> then) : then_(std::move(then)) {}
  void done();

  std::size_t awaited_ = 1;  // one for collect() itself
  Rows rows_;
  std::function<void(Rows)> then_;
};

}  // namespace assay::agent
