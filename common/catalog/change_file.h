// SPDX-License-Identifier: Apache-2.0
// A change of the catalog that several people sign one after the other, as a file that is passed on
// (docs/formats/catalog.md, "Change files").
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/catalog/log.h"

namespace assay::catalog {

inline constexpr std::size_t kMaxChangeFileBytes = 64 << 20;

/// Nothing in it is trusted: what it holds is verified against the log that it follows.
struct ChangeFile {
  SignedChange change;                      ///< with as many signatures as it has so far
  std::vector<std::string> file_sets = {};  ///< those that the statement names, encoded

  std::string to_json() const;
  /// Errors: kCorrupt, kLimitExceeded, kUnsupported (a later version).
  static Result<ChangeFile> from_json(std::string_view json);
};

}  // namespace assay::catalog
