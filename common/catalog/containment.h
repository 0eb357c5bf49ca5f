// SPDX-License-Identifier: Apache-2.0
// Which bases are in a set of files, when no layer tells any more: squashed, re-imported, copied
// and rebuilt images (docs/formats/file_set.md, "Containment"; docs/adr/0010).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/catalog/base_image.h"
#include "common/catalog/catalog.h"
#include "common/catalog/file_set.h"
#include "common/catalog/file_set_index.h"

namespace assay::catalog {

/// How one base is in a set of files. Numbers of files; empty ones count nowhere.
struct ContainedBase {
  BaseId base;
  std::string platform;              ///< of the stack of the base that was compared
  std::uint64_t files = 0;           ///< of the base
  std::uint64_t present = 0;         ///< of them, there and unchanged
  std::uint64_t changed = 0;         ///< the path is there and holds something else
  std::uint64_t missing = 0;         ///< no such path
  std::uint32_t share_permille = 0;  ///< of the base's weight that is present, 0 to 1000
  /// The base that it was hardest to tell from, and the files that only this one has and that one
  /// lacks; "" when there is none.
  std::string rival;
  std::uint64_t own_files = 0;
  std::uint64_t own_present = 0;
  bool is_contained = false;
  std::string why;  ///< one sentence for people
  bool operator==(const ContainedBase&) const = default;
};

struct Containment {
  std::uint64_t files = 0;               ///< in the set that was looked at
  std::vector<ContainedBase> contained;  ///< the one with the most files first: it names the set
  /// The best of those that are not contained, with what speaks against it.
  std::optional<ContainedBase> runner_up;
  std::string why;  ///< one sentence for people
  bool operator==(const Containment&) const = default;
};

/// Looks for the bases of `index` in `files`. Pure; thread-safe. Under 50 ms against 1,000 bases.
///
/// A base is contained when the weighted share of its files that are present reaches
/// `contained_share_percent`, at least `contained_min_files` of them are there, and it is no mere
/// look-alike: of the files that it has and a near base lacks, at least `contained_own_percent` are
/// present, or no smaller part than of those that the other has. So version N is told from N-1 by
/// the files that only one of them has, and a base that lies inside another one is contained with
/// it. docs/formats/file_set.md has the rules between bases of different names.
Containment find_contained(const FileSet& files, const FileSetIndex& index, const Policy& policy);

}  // namespace assay::catalog
