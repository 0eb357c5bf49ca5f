// SPDX-License-Identifier: Apache-2.0
#include "common/scan/readers.h"

namespace assay::scan {
namespace {

using catalog::ScanFinding;
using catalog::ScanReport;

Result<ScanFinding> read_finding(const Json& item) {
  ScanFinding finding;
  finding.id = text(item, "id");
  if (finding.id.empty()) return missing("\"id\" of a vulnerability");
  const Json& identifiers = member(item, "identifiers");
  for (const char* kind : {"CVE", "GHSA", "ALTERNATIVE"})
    for (const Json& name : list(identifiers, kind))
      add_alias(finding, text(name));
  finding.severity_said = text(item, "severityWithCritical");
  if (finding.severity_said.empty()) finding.severity_said = text(item, "severity");
  finding.severity = catalog::severity_from_word(finding.severity_said);
  // "name" is SOURCE/BINARY; Snyk counts by source package, once for all ways that lead to it.
  finding.package = text(item, "packageName");
  if (finding.package.empty()) finding.package = text(item, "name");
  if (finding.package.empty()) return missing("\"packageName\" of a vulnerability");
  finding.installed = text(item, "version");
  finding.fixed = text(item, "nearestFixedInVersion");
  if (finding.fixed.empty()) {
    ASSAY_ASSIGN(const auto versions, texts(item, "fixedIn", catalog::kMaxScanNames));
    finding.fixed = joined(versions, ", ");
  }
  return finding;
}

Result<void> read_findings(const Json& items, bool is_left_out, ScanReport& out) {
  for (const Json& item : items) {
    if (text(item, "type") == "license") continue;
    ASSAY_ASSIGN(ScanFinding finding, read_finding(item));
    if (is_left_out) {
      finding.applicability = catalog::Applicability::kSuppressed;
      finding.status_said = "ignored by a policy file";
    }
    ASSAY_TRY(add_finding(out, std::move(finding)));
  }
  return ok();
}

Result<void> read_result(const Json& result, ScanReport& out) {
  if (!member(result, "vulnerabilities").is_array()) return missing("the list \"vulnerabilities\"");
  ASSAY_TRY(read_findings(list(result, "vulnerabilities"), false, out));
  for (const char* kind : {"ignore", "patch"})
    ASSAY_TRY(read_findings(list(member(result, "filtered"), kind), true, out));
  add_reference(out.image, text(result, "path"));
  add_reference(out.image, text(result, "projectName"));
  return ok();
}

}  // namespace

Result<ScanReport> read_snyk(const Json& report) {
  ScanReport out;
  out.format = catalog::ScanFormat::kSnyk;
  out.tool = "snyk";
  const Json several = report.is_array() ? report : Json::array({report});
  for (const Json& result : several) {
    ASSAY_TRY(read_result(result, out));
    for (const Json& application : list(result, "applications"))
      ASSAY_TRY(read_result(application, out));
  }
  return out;
}

}  // namespace assay::scan
