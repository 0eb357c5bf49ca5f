// SPDX-License-Identifier: Apache-2.0
// Attaches reports to bases: counts, splits, and lets VEX documents bear on scans before and after
// them.
#pragma once

#include <vector>

#include "collector/core/store.h"

namespace assay::collector {

/// One outcome for each of `scan`'s aims. On the commit thread, inside a transaction.
/// Errors: those of StoreWriter.
Result<std::vector<ScanOutcome>> record_scan(StoreWriter& store, const ScanImport& scan);

/// What `findings` come to: each (vulnerability, package, version) counts once.
ScanCounts counts_of(const std::vector<StoredFinding>& findings);

}  // namespace assay::collector
