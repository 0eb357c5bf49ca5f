// SPDX-License-Identifier: Apache-2.0
#include "collector/core/scan_recorder.h"

#include <set>
#include <tuple>

namespace assay::collector {
namespace {

using catalog::Origin;
using catalog::ScanFormat;
using catalog::VexStatement;

void apply_vex(StoredFinding& stored, const std::vector<VexStatement>& statements) {
  const VexStatement* statement = catalog::statement_on(stored.finding, statements);
  stored.applicability =
      statement == nullptr ? stored.finding.applicability : statement->applicability;
  stored.vex_said = statement == nullptr ? "" : statement->status_said;
}

ScanView view_of(const ScanImport& scan, const ScanAim& aim) {
  const catalog::ScanReport& report = *scan.report;
  ScanView view;
  view.base = aim.base;
  view.digest = scan.digest;
  view.format = report.format;
  view.tool = report.tool;
  view.tool_version = report.tool_version;
  view.scope = aim.scope;
  view.matched_by = aim.matched_by;
  if (!report.image.names.empty()) view.image = report.image.names.front();
  view.image_id = report.image.image_id;
  view.scanned_ns = scan.scanned_ns;
  view.is_time_said = scan.is_time_said;
  view.imported_ns = scan.imported_ns;
  view.imported_by = scan.imported_by;
  return view;
}

Result<void> record_findings(StoreWriter& store, const ScanImport& scan, const ScanAim& aim,
                             ScanView& view) {
  ASSAY_ASSIGN(const auto statements, store.vex_statements(aim.base));
  std::vector<StoredFinding> findings;
  for (std::size_t i = 0; i < scan.report->findings.size(); ++i) {
    StoredFinding& stored = findings.emplace_back();
    stored.finding = scan.report->findings[i];
    stored.origin = i < aim.origins.size() ? aim.origins[i] : Origin::kUnknown;
    // What is said of the base says nothing of an application on it.
    apply_vex(stored, stored.origin == Origin::kBase ? statements : std::vector<VexStatement>());
  }
  view.counts = counts_of(findings);
  ASSAY_TRY(store.add_scan_findings(view.key, findings));
  return store.set_scan_counts(view.key, view.counts);
}

/// Judges the findings of one earlier scan anew; true when its counts changed.
Result<bool> review(StoreWriter& store, ScanKey scan, const std::vector<VexStatement>& statements) {
  ASSAY_ASSIGN(auto findings, store.scan_findings(scan));
  const ScanCounts before = counts_of(findings);
  for (std::size_t i = 0; i < findings.size(); ++i) {
    if (findings[i].origin != Origin::kBase) continue;
    const StoredFinding old = findings[i];
    apply_vex(findings[i], statements);
    if (findings[i] == old) continue;
    ASSAY_TRY(store.set_applicability(scan, i, findings[i]));
  }
  const ScanCounts after = counts_of(findings);
  if (after == before) return false;
  ASSAY_TRY(store.set_scan_counts(scan, after));
  return true;
}

Result<std::uint64_t> record_statements(StoreWriter& store, const ScanAim& aim, ScanKey document) {
  ASSAY_TRY(store.add_vex_statements(document, aim.statements));
  ASSAY_ASSIGN(const auto statements, store.vex_statements(aim.base));
  ASSAY_ASSIGN(const auto scans, store.scans_of(aim.base));
  std::uint64_t changed = 0;
  for (const ScanKey scan : scans) {
    ASSAY_ASSIGN(const bool has_changed, review(store, scan, statements));
    if (has_changed) ++changed;
  }
  return changed;
}

Result<ScanOutcome> record_one(StoreWriter& store, const ScanImport& scan, const ScanAim& aim) {
  ScanOutcome outcome;
  outcome.scan = view_of(scan, aim);
  ASSAY_ASSIGN(const auto key, store.add_scan(outcome.scan));
  if (!key) {
    ASSAY_ASSIGN(const auto there, store.find_scan(aim.base, scan.digest));
    if (there) outcome.scan = *there;
    return outcome;
  }
  outcome.is_new = true;
  outcome.scan.key = *key;
  if (scan.report->format == ScanFormat::kOpenVex) {
    ASSAY_ASSIGN(outcome.changed_scans, record_statements(store, aim, *key));
  } else {
    ASSAY_TRY(record_findings(store, scan, aim, outcome.scan));
  }
  ASSAY_TRY(store.audit({scan.imported_ns, scan.imported_by, "scan.import", aim.base.text(), "done",
                         std::string(to_string(scan.report->format)) + " " + scan.digest.text(),
                         scan.imported_from}));
  return outcome;
}

}  // namespace

ScanCounts counts_of(const std::vector<StoredFinding>& findings) {
  std::set<std::tuple<std::string, std::string, std::string>> counted;
  ScanCounts counts;
  for (const StoredFinding& stored : findings) {
    const auto& finding = stored.finding;
    const bool does_count = catalog::counts(stored.applicability);
    if (stored.origin != Origin::kBase) {
      if (does_count)
        ++(stored.origin == Origin::kApplication ? counts.application : counts.unattributed);
      continue;
    }
    if (!counted.emplace(finding.id, finding.package, finding.installed).second) continue;
    if (does_count)
      catalog::count(counts.base, finding.severity);
    else
      ++counts.excluded;
  }
  return counts;
}

Result<std::vector<ScanOutcome>> record_scan(StoreWriter& store, const ScanImport& scan) {
  std::vector<ScanOutcome> outcomes;
  const auto record = [&]() -> Result<void> {
    for (const ScanAim& aim : scan.aims) {
      ASSAY_ASSIGN(ScanOutcome outcome, record_one(store, scan, aim));
      outcomes.push_back(std::move(outcome));
    }
    return ok();
  };
  if (!scan.is_dry_run) {
    ASSAY_TRY(record());
    return outcomes;
  }
  // Done and undone: what a dry run tells is what would happen.
  std::optional<Error> fault;
  const auto undone = store.attempt([&]() -> Result<void> {
    if (auto recorded = record(); !recorded) fault = std::move(recorded.error());
    return Error{ErrorCode::kCancelled, "a dry run"};
  });
  if (fault) return std::move(*fault);
  if (undone || undone.error().code != ErrorCode::kCancelled)
    return Error{ErrorCode::kInternal, "a dry run could not be undone"};
  return outcomes;
}

}  // namespace assay::collector
