// SPDX-License-Identifier: Apache-2.0
// What other thresholds of containment would find in the files of stacks. Changes nothing.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "collector/core/store.h"
#include "common/base/sha256.h"
#include "common/catalog/catalog.h"
#include "common/catalog/containment.h"
#include "common/catalog/file_set_index.h"
#include "common/catalog/policy.h"

namespace assay::collector {

/// Equal files are searched once, on how many nodes they may lie. Not thread-safe.
class TrialSearch {
 public:
  /// Reads the file sets of all bases: about 100 KB a base. Errors: those of the store.
  static Result<TrialSearch> over(Store& store, const catalog::Catalog& catalog);

  /// What `policy` would find in the encoded file set `files` of a stack that judges as `verdict`
  /// by its layers. Errors: kCorrupt.
  Result<catalog::Containment> find(const std::string& files, const catalog::Verdict& verdict,
                                    const catalog::Policy& policy);

 private:
  explicit TrialSearch(catalog::FileSetIndex index) : index_(std::move(index)) {}

  catalog::FileSetIndex index_;
  std::map<std::pair<Sha256, std::string>, catalog::Containment> found_;  // by files and base below
};

}  // namespace assay::collector
