// SPDX-License-Identifier: Apache-2.0
#include "common/scan/readers.h"

namespace assay::scan {
namespace {

using catalog::ScanFinding;
using catalog::ScanReport;

Result<void> read_image(const Json& source, ScanReport& out) {
  const Json& target = member(source, "target");
  if (target.is_string()) {  // a directory or a file
    add_name(out.image, text(target));
    return ok();
  }
  ASSAY_ASSIGN(out.image.image_id, digest<ConfigDigest>(target, "imageID"));
  ASSAY_ASSIGN(const auto manifest, digest<Sha256>(target, "manifestDigest"));
  if (manifest) out.image.manifests.push_back(*manifest);
  for (const char* key : {"tags", "repoDigests"})
    for (const Json& item : list(target, key))
      add_reference(out.image, text(item));
  add_name(out.image, text(target, "userInput"));
  // stereoscope calls the diff ID the layer's digest.
  for (const Json& layer : list(target, "layers")) {
    ASSAY_ASSIGN(const auto diff_id, digest<DiffId>(layer, "digest"));
    if (!diff_id) return missing("\"digest\" of a layer");
    out.image.diff_ids.push_back(*diff_id);
  }
  return ok();
}

/// Each location is a file that tells of the package: dpkg's database lies in the last layer that
/// touched it, the package's own files in the one that brought it. So the lowest layer counts.
std::optional<DiffId> lowest_layer(const Json& artifact, const LayerOrder& order) {
  std::optional<DiffId> lowest;
  for (const Json& location : list(artifact, "locations"))
    order.take_lower(lowest, text(location, "layerID"));
  return lowest;
}

Result<ScanFinding> read_match(const Json& match, const LayerOrder& order) {
  ScanFinding finding;
  const Json& vulnerability = member(match, "vulnerability");
  finding.id = text(vulnerability, "id");
  if (finding.id.empty()) return missing("\"vulnerability.id\" of a match");
  for (const Json& related : list(match, "relatedVulnerabilities"))
    add_alias(finding, text(related, "id"));
  finding.severity_said = text(vulnerability, "severity");
  finding.severity = catalog::severity_from_word(finding.severity_said);
  const Json& fix = member(vulnerability, "fix");
  finding.status_said = text(fix, "state");
  ASSAY_ASSIGN(const auto versions, texts(fix, "versions", catalog::kMaxScanNames));
  finding.fixed = joined(versions, ", ");
  const Json& artifact = member(match, "artifact");
  finding.package = text(artifact, "name");
  if (finding.package.empty()) return missing("\"artifact.name\" of a match");
  finding.installed = text(artifact, "version");
  finding.purl = text(artifact, "purl");
  finding.layer = lowest_layer(artifact, order);
  return finding;
}

}  // namespace

Result<ScanReport> read_grype(const Json& report) {
  if (!member(report, "matches").is_array()) return missing("the list \"matches\"");
  if (!member(report, "descriptor").is_object()) return missing("\"descriptor\"");
  ScanReport out;
  out.format = catalog::ScanFormat::kGrype;
  out.tool = text(member(report, {"descriptor", "name"}));
  if (out.tool.empty()) out.tool = "grype";
  out.tool_version = text(member(report, {"descriptor", "version"}));
  out.scanned_at = time(raw_text(member(report, "descriptor"), "timestamp"));
  ASSAY_TRY(read_image(member(report, "source"), out));
  const LayerOrder order(out.image.diff_ids);
  for (const Json& match : list(report, "matches")) {
    ASSAY_ASSIGN(ScanFinding finding, read_match(match, order));
    ASSAY_TRY(add_finding(out, std::move(finding)));
  }
  for (const Json& match : list(report, "ignoredMatches")) {
    ASSAY_ASSIGN(ScanFinding finding, read_match(match, order));
    finding.applicability = catalog::Applicability::kSuppressed;
    finding.status_said = "ignored";
    ASSAY_TRY(add_finding(out, std::move(finding)));
  }
  return out;
}

}  // namespace assay::scan
