// SPDX-License-Identifier: Apache-2.0
#include "common/scan/read_scan.h"

#include <algorithm>

#include "common/scan/readers.h"

namespace assay::scan {
namespace {

constexpr const char* kRead =
    "read are Trivy JSON (schema 2), Grype JSON, Snyk container JSON, SARIF 2.1.0, CycloneDX with "
    "vulnerabilities, and OpenVEX";

Error unsupported(const std::string& what) {
  return {ErrorCode::kUnsupported, what + "; " + kRead};
}

bool is_snyk(const Json& one) {
  return one.is_object() && member(one, "vulnerabilities").is_array() &&
         (one.contains("docker") || one.contains("dependencyCount") ||
          one.contains("packageManager"));
}

Result<catalog::ScanReport> read_array(const Json& json) {
  if (json.empty()) return missing("everything: the list is empty; a result of a scan");
  if (std::ranges::all_of(json, is_snyk)) return read_snyk(json);
  if (member(json.front(), "Target").is_string())
    return unsupported("it is a Trivy report of schema 1, which Trivy wrote before 0.20");
  return unsupported("it is a JSON array that is no report of a scan");
}

Result<catalog::ScanReport> read_any(const Json& json) {
  if (json.is_array()) return read_array(json);
  if (!json.is_object()) return unsupported("it is JSON, but no report of a scan");
  if (json.contains("SchemaVersion")) return read_trivy(json);
  if (text(json, "bomFormat") == "CycloneDX") return read_cyclonedx(json);
  if (raw_text(json, "@context").starts_with("https://openvex.dev/ns")) return read_openvex(json);
  if (json.contains("runs")) return read_sarif(json);
  if (json.contains("matches")) return read_grype(json);
  if (is_snyk(json)) return read_snyk(json);
  if (member(json, "error").is_string() && json.contains("ok"))
    return Error{ErrorCode::kCorrupt,
                 "the scanner failed, this is its error and no report: " + text(json, "error")};
  if (json.contains("spdxVersion"))
    return unsupported("it is an SPDX document, which lists packages and no vulnerabilities");
  return unsupported("it is JSON, but no report that is known");
}

Result<void> check_limits(const catalog::ScanReport& report) {
  const auto over = [](const char* what, std::size_t limit) {
    return Error{ErrorCode::kLimitExceeded,
                 "it has more than " + std::to_string(limit) + " " + what};
  };
  if (report.findings.size() > catalog::kMaxScanFindings)
    return over("vulnerabilities", catalog::kMaxScanFindings);
  if (report.statements.size() > catalog::kMaxScanFindings)
    return over("statements", catalog::kMaxScanFindings);
  if (report.image.diff_ids.size() > catalog::kMaxScanLayers)
    return over("layers", catalog::kMaxScanLayers);
  return ok();
}

}  // namespace

Result<catalog::ScanReport> read_scan(std::string_view text) {
  if (text.size() > kMaxReportBytes)
    return Error{ErrorCode::kLimitExceeded,
                 "it is larger than " + std::to_string(kMaxReportBytes >> 20) + " MiB"};
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    return Error{ErrorCode::kCorrupt, "it is empty: the scanner wrote nothing"};
  text.remove_prefix(text.starts_with("\xEF\xBB\xBF") ? 3 : 0);
  ASSAY_ASSIGN(const Json json, parse_report(text));
  ASSAY_ASSIGN(catalog::ScanReport report, read_any(json));
  catalog::merge_repeated(report.findings);
  ASSAY_TRY(check_limits(report));
  return report;
}

}  // namespace assay::scan
