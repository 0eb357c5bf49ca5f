// SPDX-License-Identifier: Apache-2.0
// What people ask of scans.
#include <set>

#include "collector/store/sqlite/name_columns.h"
#include "collector/store/sqlite/scan_rows.h"

namespace assay::collector {
namespace {

using sqlite::Database;
using sqlite::Statement;

/// Scans of bases themselves, numbered from the newest of each base.
constexpr const char* kNewestOfBases =
    "SELECT scan_key FROM (SELECT scan_key, row_number() OVER (PARTITION BY base_name,"
    " base_version ORDER BY scanned_ns DESC, scan_key DESC) AS place FROM scans"
    " WHERE scope='base' AND format<>'openvex') WHERE place = 1";

/// The newest of each tool, base and, of applications, image: another tool's older scan still
/// stands, as no tool finds everything.
constexpr const char* kNewestOfTools =
    "SELECT scan_key FROM (SELECT scan_key, row_number() OVER (PARTITION BY base_name,"
    " base_version, tool, scope, iif(scope='application', ifnull(hex(image_id), image), '')"
    " ORDER BY scanned_ns DESC, scan_key DESC) AS place FROM scans WHERE format<>'openvex')"
    " WHERE place = 1";

struct Running {
  std::uint64_t runs = 0;
  std::uint64_t nodes = 0;
};

Result<Running> read_running(Statement& query) {
  ASSAY_ASSIGN(const bool is_row, query.step());
  Running running;
  if (is_row)
    running = {static_cast<std::uint64_t>(query.integer(0)),
               static_cast<std::uint64_t>(query.integer(1))};
  query.reset();
  return running;
}

Result<Running> running_on(Database& database, const catalog::BaseId& base) {
  ASSAY_ASSIGN(
      Statement * query,
      database.prepare("SELECT ifnull(sum(running), 0), count(DISTINCT node_id) FROM stacks"
                       " WHERE running > 0 AND stack_id IN (SELECT stack_id FROM"
                       " stack_matches WHERE base_name=? AND base_version=?)"));
  return read_running(query->bind(base.name, base.version));
}

Result<Running> running_of(Database& database, const std::optional<ConfigDigest>& image) {
  if (!image) return Running{};
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT count(*), count(DISTINCT node_id) FROM runs"
                                " WHERE ended_ns = 0 AND config_digest = ?"));
  return read_running(query->bind(Statement::Blob{image->raw()}));
}

Result<Running> running_with(Database& database, const VulnerableBase& found) {
  if (found.found.origin == catalog::Origin::kBase) return running_on(database, found.scan.base);
  return running_of(database, found.scan.image_id);
}

std::string runs_sql(const std::string& condition) {
  return "SELECT r.run_id, n.cluster, n.node, r.started_ns, " + std::string(kNameColumns) +
         " FROM runs r JOIN nodes n ON n.node_id = r.node_id WHERE r.ended_ns = 0 AND " +
         condition + " ORDER BY r.started_ns DESC, r.run_key DESC LIMIT ";
}

Result<void> add_runs(Statement& query, const VulnerableBase& found, WhereView& where) {
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query.step());
    if (!is_row) break;
    VulnerableRun run{
        query.text(0),     {query.text(1), query.text(2)}, {}, query.integer(3), found.scan.base,
        found.found.origin};
    ASSAY_ASSIGN(run.names, read_names(query, 4));
    where.runs.push_back(std::move(run));
  }
  query.reset();
  return ok();
}

/// The containers with one finding, until the answer is full.
Result<void> add_runs_with(Database& database, const VulnerableBase& found, WhereView& where) {
  const int left = kMaxVulnerable - static_cast<int>(where.runs.size()) + 1;
  if (left <= 0) return ok();
  if (found.found.origin == catalog::Origin::kBase) {
    ASSAY_ASSIGN(Statement * query,
                 database.prepare(runs_sql("r.stack_id IN (SELECT stack_id FROM stack_matches"
                                           " WHERE base_name=?1 AND base_version=?2)") +
                                  "?3"));
    return add_runs(query->bind(found.scan.base.name, found.scan.base.version, left), found, where);
  }
  if (!found.scan.image_id) return ok();
  ASSAY_ASSIGN(Statement * query, database.prepare(runs_sql("r.config_digest = ?1") + "?2"));
  return add_runs(query->bind(Statement::Blob{found.scan.image_id->raw()}, left), found, where);
}

}  // namespace

Result<std::map<catalog::BaseId, catalog::ScanSummary>> query_latest_scans(Database& database) {
  ASSAY_ASSIGN(const auto scans, query_scans(database, {std::nullopt, true}));
  std::map<catalog::BaseId, catalog::ScanSummary> latest;
  for (const ScanView& scan : scans)
    latest.emplace(scan.base, catalog::ScanSummary{scan.tool, from_unix_ns(scan.scanned_ns),
                                                   scan.counts.base});
  return latest;
}

Result<std::vector<ScanView>> query_scans(Database& database, const ScanFilter& filter) {
  const catalog::BaseId base = filter.base.value_or(catalog::BaseId{});
  std::string sql = "SELECT " + std::string(kScanColumns) +
                    " FROM scans s WHERE s.format <> 'openvex' AND ?1 IS NOT NULL AND ?2 IS NOT"
                    " NULL";
  if (filter.only_newest) sql += " AND s.scan_key IN (" + std::string(kNewestOfBases) + ")";
  if (filter.base) sql += " AND s.base_name = ?1";
  if (!base.version.empty()) sql += " AND s.base_version = ?2";
  sql += " ORDER BY s.base_name, s.base_version, s.scanned_ns, s.scan_key LIMIT ?3";
  ASSAY_ASSIGN(Statement * query, database.prepare(sql));
  ASSAY_ASSIGN(auto scans,
               read_scan_rows(query->bind(base.name, base.version, kMaxListedScans + 1)));
  if (scans.size() > static_cast<std::size_t>(kMaxListedScans))
    return Error{ErrorCode::kLimitExceeded, "there are more than " +
                                                std::to_string(kMaxListedScans) +
                                                " scans: ask for those of one base"};
  return scans;
}

Result<WhereView> query_where(Database& database, const std::string& vulnerability) {
  ASSAY_ASSIGN(Statement * query,
               database.prepare("SELECT " + std::string(kScanColumns) + ", " +
                                std::string(kScanFindingColumns) +
                                " FROM scan_names i JOIN scans s ON s.scan_key = i.scan_key"
                                " JOIN scan_findings f ON f.scan_key = i.scan_key AND f.position ="
                                " i.position WHERE i.name = ?1 AND i.scan_key IN (" +
                                std::string(kNewestOfTools) +
                                ") ORDER BY f.origin = 'base' DESC, s.base_name, s.base_version,"
                                " s.scan_key, f.position LIMIT ?2"));
  query->bind(vulnerability, kMaxVulnerable + 1);
  WhereView where;
  for (;;) {
    ASSAY_ASSIGN(const bool is_row, query->step());
    if (!is_row) break;
    VulnerableBase found;
    ASSAY_ASSIGN(found.scan, read_scan_row(*query));
    ASSAY_ASSIGN(found.found, read_scan_finding(*query, kScanColumnCount));
    where.findings.push_back(std::move(found));
  }
  query->reset();
  const auto limit = static_cast<std::size_t>(kMaxVulnerable);
  where.is_cut = where.findings.size() > limit;
  if (where.is_cut) where.findings.pop_back();
  // One base, or one image, may have the vulnerability in several packages.
  std::set<std::pair<std::string, catalog::Origin>> asked;
  for (VulnerableBase& found : where.findings) {
    ASSAY_ASSIGN(const Running running, running_with(database, found));
    found.running = running.runs;
    found.nodes = running.nodes;
    const std::string of = found.found.origin == catalog::Origin::kBase
                               ? found.scan.base.text()
                               : found.scan.image_id.value_or(ConfigDigest{}).hex();
    if (catalog::counts(found.found.applicability) && asked.emplace(of, found.found.origin).second)
      ASSAY_TRY(add_runs_with(database, found, where));
  }
  if (where.runs.size() > limit) {
    where.is_cut = true;
    where.runs.resize(limit);
  }
  return where;
}

}  // namespace assay::collector
