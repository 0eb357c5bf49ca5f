// SPDX-License-Identifier: Apache-2.0
#include "common/scan/readers.h"

namespace assay::scan {
namespace {

using catalog::Applicability;
using catalog::ScanFinding;
using catalog::ScanReport;

Result<void> read_image(const Json& report, ScanReport& out) {
  const Json& metadata = member(report, "Metadata");
  ASSAY_ASSIGN(out.image.image_id, digest<ConfigDigest>(metadata, "ImageID"));
  const Json& listed = member(metadata, "DiffIDs").is_array()
                           ? list(metadata, "DiffIDs")
                           : list(member(metadata, {"ImageConfig", "rootfs"}), "diff_ids");
  for (const Json& item : listed) {
    auto parsed = DiffId::parse(text(item));
    if (!parsed) return Error{ErrorCode::kCorrupt, "one of \"DiffIDs\" is no SHA-256 digest"};
    out.image.diff_ids.push_back(*parsed);
  }
  for (const char* key : {"RepoTags", "RepoDigests"})
    for (const Json& item : list(metadata, key))
      add_reference(out.image, text(item));
  add_name(out.image, text(report, "ArtifactName"));
  return ok();
}

/// Trivy's words are about the package's distribution; only two of them say that the vulnerability
/// does not bear on this image. "fixed" means that a later version has a fix.
Applicability applicability_of(const std::string& status) {
  if (status == "not_affected") return Applicability::kNotAffected;
  if (status == "under_investigation") return Applicability::kUnderInvestigation;
  return Applicability::kAffected;
}

Result<ScanFinding> read_finding(const Json& item) {
  ScanFinding finding;
  finding.id = text(item, "VulnerabilityID");
  if (finding.id.empty()) return missing("\"VulnerabilityID\" of a vulnerability");
  for (const Json& alias : list(item, "VendorIDs"))
    add_alias(finding, text(alias));
  finding.severity_said = text(item, "Severity");
  finding.severity = catalog::severity_from_word(finding.severity_said);
  finding.package = text(item, "PkgName");
  finding.purl = text(member(item, {"PkgIdentifier", "PURL"}));
  finding.installed = text(item, "InstalledVersion");
  finding.fixed = text(item, "FixedVersion");
  finding.status_said = text(item, "Status");
  finding.applicability = applicability_of(finding.status_said);
  ASSAY_ASSIGN(finding.layer, digest<DiffId>(member(item, "Layer"), "DiffID"));
  return finding;
}

/// What the report itself leaves out, by an ignore file or by VEX.
Result<void> read_modified(const Json& result, ScanReport& out) {
  for (const Json& item : list(result, "ExperimentalModifiedFindings")) {
    if (text(item, "Type") != "vulnerability") continue;
    ASSAY_ASSIGN(ScanFinding finding, read_finding(member(item, "Finding")));
    const std::string status = text(item, "Status");
    finding.applicability = Applicability::kSuppressed;
    if (status == "not_affected") finding.applicability = Applicability::kNotAffected;
    if (status == "fixed") finding.applicability = Applicability::kFixed;
    finding.status_said = joined({status, text(item, "Statement"), text(item, "Source")}, ": ");
    ASSAY_TRY(add_finding(out, std::move(finding)));
  }
  return ok();
}

}  // namespace

Result<ScanReport> read_trivy(const Json& report) {
  if (text(report, "SchemaVersion") != "2")
    return Error{ErrorCode::kUnsupported, "it is a Trivy report of schema version \"" +
                                              text(report, "SchemaVersion") + "\"; 2 is read"};
  if (!report.contains("ArtifactName")) return missing("\"ArtifactName\"");
  ScanReport out;
  out.format = catalog::ScanFormat::kTrivy;
  out.tool = "trivy";
  out.tool_version = text(member(report, {"Trivy", "Version"}));
  out.scanned_at = time(raw_text(report, "CreatedAt"));
  ASSAY_TRY(read_image(report, out));
  bool were_packages_looked_at = false;
  for (const Json& result : list(report, "Results")) {
    const std::string kind = text(result, "Class");
    were_packages_looked_at |= kind == "os-pkgs" || kind == "lang-pkgs";
    for (const Json& item : list(result, "Vulnerabilities")) {
      ASSAY_ASSIGN(ScanFinding finding, read_finding(item));
      ASSAY_TRY(add_finding(out, std::move(finding)));
    }
    ASSAY_TRY(read_modified(result, out));
  }
  if (out.findings.empty() && !were_packages_looked_at)
    out.emptiness =
        "Trivy found no packages to look at, or was told to look for other things (--scanners)";
  return out;
}

}  // namespace assay::scan
