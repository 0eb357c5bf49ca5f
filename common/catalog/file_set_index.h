// SPDX-License-Identifier: Apache-2.0
// The file sets of all bases, from file to bases.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/catalog/base_image.h"
#include "common/catalog/file_set.h"

namespace assay::catalog {

/// The file set of one stack of one base.
struct BaseFileSet {
  BaseId base;
  std::string platform;
  std::shared_ptr<const FileSet> files;  ///< shared with who keeps them; never null
};

/// Immutable once built; thread-safe. About 30 bytes a distinct file and 4 for each base that has
/// it. Knows nothing of what a base's status is: it holds as long as the bases have these stacks.
class FileSetIndex {
 public:
  FileSetIndex() = default;
  explicit FileSetIndex(std::vector<BaseFileSet> sets);

  /// What of one base's stack was found.
  struct Hit {
    std::size_t set = 0;        ///< index into sets()
    std::uint64_t present = 0;  ///< files
    double share = 0;           ///< of the weight, 0 to 1
  };
  /// Every set with at least one file in `files`, best first: more files, then the higher share,
  /// then the name.
  std::vector<Hit> look_up(const FileSet& files) const;

  const std::vector<BaseFileSet>& sets() const { return sets_; }

 private:
  std::vector<BaseFileSet> sets_;
  std::vector<double> totals_;         // weight of each set
  std::vector<std::uint64_t> files_;   // distinct file hashes, sorted
  std::vector<std::uint32_t> begins_;  // where the postings of files_[i] begin; one more at the end
  std::vector<std::uint32_t> postings_;  // indexes into sets_
  std::vector<float> weights_;  // of files_[i]: 1 / names of bases that have it, at least 1/4
};

}  // namespace assay::catalog
