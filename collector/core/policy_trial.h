// SPDX-License-Identifier: Apache-2.0
// What another policy would make of everything that runs now. Changes nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collector/core/store.h"
#include "common/catalog/catalog.h"

namespace assay::collector {

/// Running runs of one namespace whose verdict changes alike.
struct TrialGroup {
  catalog::VerdictStatus before{};
  catalog::VerdictStatus after{};
  std::string base;  ///< that names them, "" = none
  std::string pod_namespace;
  std::uint64_t running = 0;
  std::uint64_t nodes = 0;
  std::string reason;  ///< of the verdict after, of one of them
};

/// Findings of one kind and base that would open, and that would be resolved.
struct TrialFinding {
  catalog::FindingKind kind{};
  std::string base;
  std::uint64_t opened = 0;
  std::uint64_t resolved = 0;
};

struct TrialRun {
  NodeKey node;
  RunId run_id;
  ContainerNames names;
  catalog::VerdictStatus before{};
  catalog::VerdictStatus after{};
  std::string reason;
};

struct TrialView {
  std::uint64_t running = 0;
  std::uint64_t changed = 0;           ///< running runs with another verdict
  std::vector<TrialGroup> groups;      ///< the largest first, at most kMaxTrialRows
  std::vector<TrialFinding> findings;  ///< by kind, then base
  std::vector<TrialRun> runs;          ///< at most kMaxTrialRows
  std::uint64_t not_searched = 0;      ///< stacks in whose files other thresholds of containment
                                       ///< might find something, and whose files are not here
};
inline constexpr std::size_t kMaxTrialRows = 1000;

/// Judges everything that runs by `catalog` and by the same bases under `policy`, both at `now`,
/// and compares. Where the thresholds of containment differ, the file sets that are here are
/// searched again. Thread-safe; blocks on the store for seconds where 300,000 run. Errors: those of
/// the store.
Result<TrialView> try_policy(Store& store, const catalog::Catalog& catalog,
                             const catalog::Policy& policy, WallTime now);

}  // namespace assay::collector
