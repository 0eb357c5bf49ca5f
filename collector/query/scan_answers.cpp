// SPDX-License-Identifier: Apache-2.0
#include "collector/query/scan_answers.h"

#include "collector/query/scan_wire.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

constexpr std::chrono::minutes kMaxClockSkew{10};
constexpr std::size_t kMaxNameBytes = 128;  // of a vulnerability

/// The base that a person named; null when none was named.
Result<const catalog::Base*> named_base(const catalog::Catalog& catalog, const std::string& name) {
  if (name.empty()) return nullptr;
  auto id = catalog::BaseId::parse(name);
  if (!id) return std::move(id.error()).with_context("base");
  const auto versions = catalog.versions_of(id->name);
  if (id->version.empty() && versions.size() > 1)
    return Error{ErrorCode::kInvalidArgument,
                 name + " has several versions, say which one: NAME:VERSION"};
  const catalog::Base* found = catalog.find(*id);
  if (id->version.empty() && !versions.empty()) found = versions.front();
  if (found != nullptr) return found;
  return Error{ErrorCode::kNotFound,
               "there is no base " + name + "; assay base list shows those there are"};
}

Result<void> set_time(const v1::ImportScanRequest& request, const catalog::ScanReport& report,
                      WallTime now, ScanImport& scan) {
  WallTime at = report.scanned_at.value_or(now);
  if (request.scanned_ns() != 0) at = from_unix_ns(request.scanned_ns());
  if (at > now + kMaxClockSkew || at <= WallTime{})
    return Error{ErrorCode::kInvalidArgument,
                 "the scan is of " + to_rfc3339(at, 0) + ", and here it is " + to_rfc3339(now, 0) +
                     ": set the clock of the scanning machine, or say --scanned-at"};
  scan.scanned_ns = to_unix_ns(at);
  scan.is_time_said = request.scanned_ns() != 0 || report.scanned_at.has_value();
  return ok();
}

Result<std::vector<ScanAim>> aims_of(const catalog::ScanReport& report,
                                     const std::vector<catalog::ScanTarget>& targets) {
  std::vector<ScanAim> aims;
  for (const catalog::ScanTarget& target : targets) {
    ScanAim aim{target.base->id, target.scope, target.matched_by};
    if (report.format == catalog::ScanFormat::kOpenVex)
      aim.statements = catalog::statements_for(report, target);
    else
      aim.origins = catalog::origins_of(report, target);
    aims.push_back(std::move(aim));
  }
  return aims;
}

}  // namespace

Result<void> ScanAnswers::import_scan(const Actor& actor, const v1::ImportScanRequest& request,
                                      v1::ImportScanResponse& response) {
  ScanImport scan;
  ASSAY_ASSIGN(scan.digest, Sha256::from_raw(request.digest()));
  ASSAY_ASSIGN(catalog::ScanReport report, from_wire(request.report()));
  if (!report.emptiness.empty() && !request.accepts_empty())
    return Error{ErrorCode::kInvalidArgument,
                 "the report finds nothing, and may not have looked: " + report.emptiness +
                     " (--accept-empty says that it did)"};
  const WallTime now = clock_.wall_now();
  ASSAY_TRY(set_time(request, report, now, scan));
  const auto catalog = keeper_.catalog();
  ASSAY_ASSIGN(const catalog::Base* wanted, named_base(*catalog, request.base()));
  ASSAY_ASSIGN(const auto targets, catalog::find_targets(report, *catalog, wanted));
  ASSAY_ASSIGN(scan.aims, aims_of(report, targets));
  scan.report = std::make_shared<const catalog::ScanReport>(std::move(report));
  scan.imported_ns = to_unix_ns(now);
  scan.imported_by = actor.name;
  scan.imported_from = actor.peer;
  scan.is_dry_run = request.is_dry_run();
  scan.bytes = request.ByteSizeLong();
  ASSAY_ASSIGN(const auto outcomes, ledger_.import_scan(scan));
  for (const ScanOutcome& outcome : outcomes) {
    v1::ImportedScan& one = *response.add_scans();
    to_wire(outcome.scan, *one.mutable_scan());
    one.set_is_new(outcome.is_new);
    one.set_changed_scans(outcome.changed_scans);
  }
  return ok();
}

Result<void> ScanAnswers::list_scans(const v1::ListScansRequest& request,
                                     v1::ListScansResponse& response) {
  ScanFilter filter;
  filter.only_newest = request.only_newest();
  if (!request.base().empty()) {
    ASSAY_ASSIGN(filter.base, catalog::BaseId::parse(request.base()));
  }
  ASSAY_ASSIGN(const auto scans, store_.list_scans(filter));
  for (const ScanView& scan : scans)
    to_wire(scan, *response.add_scans());
  return ok();
}

Result<void> ScanAnswers::where(const v1::WhereVulnerabilityRequest& request,
                                v1::WhereVulnerabilityResponse& response) {
  const std::string& name = request.vulnerability();
  if (name.empty() || name.size() > kMaxNameBytes)
    return Error{ErrorCode::kInvalidArgument,
                 "the id of a vulnerability has 1 to " + std::to_string(kMaxNameBytes) + " bytes"};
  ASSAY_ASSIGN(const WhereView where, store_.where(name));
  to_wire(where, response);
  return ok();
}

}  // namespace assay::collector
