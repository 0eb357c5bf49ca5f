// SPDX-License-Identifier: Apache-2.0
// The scans' part of SqliteWriter.
#include "collector/store/sqlite/codec.h"
#include "collector/store/sqlite/digest_column.h"
#include "collector/store/sqlite/scan_rows.h"
#include "collector/store/sqlite/writer.h"

namespace assay::collector {
namespace {

using sqlite::Statement;

std::int64_t number(ScanKey key) {
  return static_cast<std::int64_t>(key);
}

}  // namespace

Result<std::optional<ScanKey>> SqliteWriter::add_scan(const ScanView& scan) {
  ASSAY_TRY(
      change("INSERT INTO scans(base_name, base_version, digest, format, tool, tool_version, scope,"
             " matched_by, image, image_id, scanned_ns, is_time_said, imported_ns, imported_by)"
             " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
             scan.base.name, scan.base.version, Statement::Blob{scan.digest.raw()},
             catalog::to_string(scan.format), scan.tool, scan.tool_version,
             catalog::to_string(scan.scope), scan.matched_by, scan.image, blob(scan.image_id),
             scan.scanned_ns, scan.is_time_said, scan.imported_ns, scan.imported_by));
  if (database_.changes() == 0) return std::optional<ScanKey>();
  return std::optional(ScanKey{database_.last_insert_id()});
}

Result<std::optional<ScanView>> SqliteWriter::find_scan(const catalog::BaseId& base,
                                                        const Sha256& digest) {
  ASSAY_ASSIGN(
      Statement * query,
      database_.prepare("SELECT " + std::string(kScanColumns) +
                        " FROM scans s WHERE base_name=? AND base_version=? AND digest=?"));
  ASSAY_ASSIGN(auto found,
               read_scan_rows(query->bind(base.name, base.version, Statement::Blob{digest.raw()})));
  if (found.empty()) return std::optional<ScanView>();
  return std::optional(std::move(found.front()));
}

Result<void> SqliteWriter::set_scan_counts(ScanKey scan, const ScanCounts& counts) {
  return change(
      "UPDATE scans SET unknown=?, low=?, medium=?, high=?, critical=?, excluded=?, application=?,"
      " unattributed=? WHERE scan_key=?",
      counts.base.unknown, counts.base.low, counts.base.medium, counts.base.high,
      counts.base.critical, counts.excluded, counts.application, counts.unattributed, number(scan));
}

Result<void> SqliteWriter::add_scan_findings(ScanKey scan,
                                             const std::vector<StoredFinding>& findings) {
  for (std::size_t i = 0; i < findings.size(); ++i) {
    const StoredFinding& stored = findings[i];
    const catalog::ScanFinding& finding = stored.finding;
    ASSAY_TRY(change(
        "INSERT INTO scan_findings(scan_key, position, vulnerability, aliases, severity,"
        " severity_said, package, purl, installed, fixed, layer, origin, status, status_said,"
        " applicability, vex_said) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        number(scan), std::uint64_t{i}, finding.id, encode(finding.aliases),
        static_cast<int>(finding.severity), finding.severity_said, finding.package, finding.purl,
        finding.installed, finding.fixed, blob(finding.layer), catalog::to_string(stored.origin),
        catalog::to_string(finding.applicability), finding.status_said,
        catalog::to_string(stored.applicability), stored.vex_said));
    std::vector<std::string> names = finding.aliases;
    names.push_back(finding.id);
    for (const std::string& name : names)
      ASSAY_TRY(
          change("INSERT INTO scan_names(name, scan_key, position) VALUES(?,?,?)"
                 " ON CONFLICT DO NOTHING",
                 name, number(scan), std::uint64_t{i}));
  }
  return ok();
}

Result<std::vector<StoredFinding>> SqliteWriter::scan_findings(ScanKey scan) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT " + std::string(kScanFindingColumns) +
                                 " FROM scan_findings f WHERE scan_key=? ORDER BY position"));
  query->bind(number(scan));
  std::vector<StoredFinding> findings;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    ASSAY_ASSIGN(StoredFinding finding, read_scan_finding(*query, 0));
    findings.push_back(std::move(finding));
  }
  query->reset();
  return findings;
}

Result<void> SqliteWriter::set_applicability(ScanKey scan, std::size_t position,
                                             const StoredFinding& finding) {
  return change(
      "UPDATE scan_findings SET applicability=?, vex_said=? WHERE scan_key=? AND position=?",
      catalog::to_string(finding.applicability), finding.vex_said, number(scan),
      std::uint64_t{position});
}

Result<std::vector<ScanKey>> SqliteWriter::scans_of(const catalog::BaseId& base) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare("SELECT scan_key FROM scans WHERE base_name=? AND base_version=?"
                                 " AND format<>'openvex' ORDER BY scan_key"));
  query->bind(base.name, base.version);
  std::vector<ScanKey> scans;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    scans.push_back(ScanKey{query->integer(0)});
  }
  query->reset();
  return scans;
}

Result<void> SqliteWriter::add_vex_statements(
    ScanKey document, const std::vector<catalog::VexStatement>& statements) {
  for (std::size_t i = 0; i < statements.size(); ++i) {
    const catalog::VexStatement& one = statements[i];
    ASSAY_TRY(change(
        "INSERT INTO vex_statements(scan_key, position, vulnerability, aliases, packages,"
        " applicability, status_said, time_ns) VALUES(?,?,?,?,?,?,?,?)",
        number(document), std::uint64_t{i}, one.id, encode(one.aliases), encode(one.packages),
        catalog::to_string(one.applicability), one.status_said, to_unix_ns(one.time)));
  }
  return ok();
}

Result<std::vector<catalog::VexStatement>> SqliteWriter::vex_statements(
    const catalog::BaseId& base) {
  ASSAY_ASSIGN(Statement * query,
               database_.prepare(
                   "SELECT v.vulnerability, v.aliases, v.packages, v.applicability, v.status_said,"
                   " v.time_ns FROM scans s JOIN vex_statements v USING(scan_key)"
                   " WHERE s.base_name=? AND s.base_version=? ORDER BY v.scan_key, v.position"));
  query->bind(base.name, base.version);
  std::vector<catalog::VexStatement> statements;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    catalog::VexStatement& one = statements.emplace_back();
    one.id = query->text(0);
    ASSAY_ASSIGN(one.aliases, decode_texts(query->text(1)));
    ASSAY_ASSIGN(one.packages, decode_texts(query->text(2)));
    ASSAY_ASSIGN(one.applicability, catalog::parse_applicability(query->text(3)));
    one.status_said = query->text(4);
    one.time = from_unix_ns(query->integer(5));
  }
  query->reset();
  return statements;
}

}  // namespace assay::collector
