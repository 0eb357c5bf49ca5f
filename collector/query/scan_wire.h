// SPDX-License-Identifier: Apache-2.0
// Scans between the wire and the collector's values. Private to collector/query.
#pragma once

#include "assay/v1/scan.pb.h"
#include "collector/core/scans.h"

namespace assay::collector {

/// Errors: kInvalidArgument (a limit of ScanReport, a word that is none), kCorrupt (a digest).
Result<catalog::ScanReport> from_wire(const v1::ScanReport& wire);

void to_wire(const ScanView& scan, v1::Scan& out);
void to_wire(const WhereView& where, v1::WhereVulnerabilityResponse& out);

}  // namespace assay::collector
