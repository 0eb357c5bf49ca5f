// SPDX-License-Identifier: Apache-2.0
#include "collector/core/trial_search.h"

#include <vector>

#include "common/catalog/contained_verdict.h"
#include "common/catalog/log_export.h"

namespace assay::collector {

Result<TrialSearch> TrialSearch::over(Store& store, const catalog::Catalog& catalog) {
  std::vector<FileSetDigest> digests;
  for (const auto& [id, base] : catalog.bases())
    for (const catalog::BaseStack& stack : base.stacks)
      if (stack.file_set) digests.push_back(stack.file_set->digest);
  ASSAY_ASSIGN(const std::vector<std::string> encoded, store.base_file_sets(digests));
  std::map<FileSetDigest, catalog::FileSet> sets;
  for (const std::string& bytes : encoded) {
    ASSAY_ASSIGN(catalog::FileSet set, catalog::FileSet::decode(bytes));
    const FileSetDigest digest = set.digest();
    sets.emplace(digest, std::move(set));
  }
  return TrialSearch(catalog::index_of(catalog, sets));
}

Result<catalog::Containment> TrialSearch::find(const std::string& files,
                                               const catalog::Verdict& verdict,
                                               const catalog::Policy& policy) {
  if (index_.sets().empty()) return catalog::Containment{};
  auto [known, is_new] = found_.try_emplace({sha256(files), verdict.base_name()});
  if (!is_new) return known->second;
  auto set = catalog::FileSet::decode(files);
  if (!set) {
    found_.erase(known);
    return std::move(set.error());
  }
  known->second =
      catalog::find_contained(catalog::with_base_below(*set, verdict, index_), index_, policy);
  return known->second;
}

}  // namespace assay::collector
