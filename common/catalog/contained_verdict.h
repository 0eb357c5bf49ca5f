// SPDX-License-Identifier: Apache-2.0
// What bases contained in a stack's files mean for its verdict: never anything better.
#pragma once

#include <cstddef>
#include <optional>

#include "common/catalog/catalog.h"
#include "common/catalog/containment.h"
#include "common/catalog/evidence.h"
#include "common/catalog/judge.h"

namespace assay::catalog {

/// From which layer of `stack` on (counted with injected ones) its file set is wanted after judge()
/// gave `verdict`: 0 when no base matches, else the first above the base that names the run.
/// Nothing when no layer is left, when the layers could not be read, or are not read yet: sets are
/// made once, of layers that are known to their last byte.
std::optional<std::size_t> wanted_file_set(const Verdict& verdict, const Stack& stack);

/// The file set that is looked at: `files` of the layers above the base that names the run, over
/// that base's own, where `index` has it. What an image copies over its base need not hold every
/// file of what was copied: equal ones may be left out of a layer.
FileSet with_base_below(const FileSet& files, const Verdict& verdict, const FileSetIndex& index);

/// Brings what was found into `verdict`, by the standing that the bases have at `now`; `scans` as
/// in judge().
///
/// A contained base that is revoked or expired makes the verdict so. A deprecated one is reported,
/// and an approved one names a run that no layer names; neither changes the status: contained
/// files never approve and never soften. Bases that layers proved already are left out.
void add_containment(Verdict& verdict, const Containment& found, const Catalog& catalog,
                     WallTime now, const ScanSummaries* scans = nullptr);

}  // namespace assay::catalog
