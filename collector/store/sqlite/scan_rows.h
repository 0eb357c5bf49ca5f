// SPDX-License-Identifier: Apache-2.0
// Rows of scans and their findings; used by the writer and by the readers.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "collector/core/scans.h"
#include "common/sqlite/database.h"

namespace assay::collector {

/// Of a table or alias `s`, in the order that read_scan_row() reads, from column 0 on.
inline constexpr std::string_view kScanColumns =
    "s.scan_key, s.base_name, s.base_version, s.digest, s.format, s.tool, s.tool_version, s.scope,"
    " s.matched_by, s.image, s.image_id, s.scanned_ns, s.is_time_said, s.imported_ns,"
    " s.imported_by, s.unknown, s.low, s.medium, s.high, s.critical, s.excluded, s.application,"
    " s.unattributed";
inline constexpr int kScanColumnCount = 23;
/// Likewise of `f`, for read_finding_row().
inline constexpr std::string_view kScanFindingColumns =
    "f.vulnerability, f.aliases, f.severity, f.severity_said, f.package, f.purl, f.installed,"
    " f.fixed, f.layer, f.origin, f.status, f.status_said, f.applicability, f.vex_said";

/// Errors: kCorrupt.
Result<ScanView> read_scan_row(const sqlite::Statement& row);
Result<StoredFinding> read_scan_finding(const sqlite::Statement& row, int first_column);
/// All rows of a bound query of kScanColumns.
Result<std::vector<ScanView>> read_scan_rows(sqlite::Statement& query);

Result<std::map<catalog::BaseId, catalog::ScanSummary>> query_latest_scans(
    sqlite::Database& database);
Result<std::vector<ScanView>> query_scans(sqlite::Database& database, const ScanFilter& filter);
Result<WhereView> query_where(sqlite::Database& database, const std::string& vulnerability);

}  // namespace assay::collector
