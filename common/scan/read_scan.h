// SPDX-License-Identifier: Apache-2.0
// Reports of scanners: Trivy, Grype, Snyk, SARIF, CycloneDX and OpenVEX (docs/formats/scans.md).
#pragma once

#include <cstddef>
#include <string_view>

#include "common/base/result.h"
#include "common/catalog/scan_report.h"

namespace assay::scan {

inline constexpr std::size_t kMaxReportBytes = 256ULL << 20;

/// Reads a report whose format is recognised from its content.
///
/// Errors: kCorrupt (no JSON, cut off, or a member that the format needs is missing: the message
/// says which), kUnsupported (a report that is none of these, or of a version that is not read; the
/// message says what is read), kLimitExceeded (bytes, depth, values, or the limits of ScanReport).
/// Source: docs/formats/scans.md, which names the page of each format.
Result<catalog::ScanReport> read_scan(std::string_view text);

}  // namespace assay::scan
