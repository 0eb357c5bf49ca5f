// SPDX-License-Identifier: Apache-2.0
#include "collector/store/sqlite/scan_rows.h"

#include <algorithm>

#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/digest_column.h"

namespace assay::collector {
namespace {

std::uint64_t number(const sqlite::Statement& row, int column) {
  return static_cast<std::uint64_t>(row.integer(column));
}

ScanCounts read_counts(const sqlite::Statement& row, int at) {
  ScanCounts counts;
  counts.base = {number(row, at), number(row, at + 1), number(row, at + 2), number(row, at + 3),
                 number(row, at + 4)};
  counts.excluded = number(row, at + 5);
  counts.application = number(row, at + 6);
  counts.unattributed = number(row, at + 7);
  return counts;
}

}  // namespace

Result<ScanView> read_scan_row(const sqlite::Statement& row) {
  ScanView scan;
  scan.key = ScanKey{row.integer(0)};
  scan.base = {row.text(1), row.text(2)};
  ASSAY_ASSIGN(scan.digest, Sha256::from_raw(row.text(3)));
  ASSAY_ASSIGN(scan.format, catalog::parse_scan_format(row.text(4)));
  scan.tool = row.text(5);
  scan.tool_version = row.text(6);
  ASSAY_ASSIGN(scan.scope, catalog::parse_scan_scope(row.text(7)));
  scan.matched_by = row.text(8);
  scan.image = row.text(9);
  ASSAY_ASSIGN(scan.image_id, read_digest<ConfigDigest>(row, 10));
  scan.scanned_ns = row.integer(11);
  scan.is_time_said = row.integer(12) != 0;
  scan.imported_ns = row.integer(13);
  scan.imported_by = row.text(14);
  scan.counts = read_counts(row, 15);
  return scan;
}

Result<StoredFinding> read_scan_finding(const sqlite::Statement& row, int at) {
  StoredFinding stored;
  catalog::ScanFinding& finding = stored.finding;
  finding.id = row.text(at);
  ASSAY_ASSIGN(finding.aliases, decode_texts(row.text(at + 1)));
  finding.severity =
      static_cast<catalog::Severity>(std::clamp<std::int64_t>(row.integer(at + 2), 0, 4));
  finding.severity_said = row.text(at + 3);
  finding.package = row.text(at + 4);
  finding.purl = row.text(at + 5);
  finding.installed = row.text(at + 6);
  finding.fixed = row.text(at + 7);
  ASSAY_ASSIGN(finding.layer, read_digest<DiffId>(row, at + 8));
  ASSAY_ASSIGN(stored.origin, catalog::parse_origin(row.text(at + 9)));
  ASSAY_ASSIGN(finding.applicability, catalog::parse_applicability(row.text(at + 10)));
  finding.status_said = row.text(at + 11);
  ASSAY_ASSIGN(stored.applicability, catalog::parse_applicability(row.text(at + 12)));
  stored.vex_said = row.text(at + 13);
  return stored;
}

Result<std::vector<ScanView>> read_scan_rows(sqlite::Statement& query) {
  std::vector<ScanView> scans;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query.step());
    if (!is_row) break;
    ASSAY_ASSIGN(ScanView scan, read_scan_row(query));
    scans.push_back(std::move(scan));
  }
  query.reset();
  return scans;
}

}  // namespace assay::collector
