// SPDX-License-Identifier: Apache-2.0
#include "collector/query/scan_wire.h"

#include <array>

#include "collector/query/to_wire.h"
#include "common/base/encoding.h"

namespace assay::collector {
namespace {

using catalog::kMaxScanFindings;
using catalog::kMaxScanIds;
using catalog::kMaxScanLayers;
using catalog::kMaxScanNames;
using catalog::kMaxScanText;

constexpr int kMaxProducts = 1001;  // of one statement

Error refusal(std::string message) {
  return {ErrorCode::kInvalidArgument, "the report: " + std::move(message)};
}

/// Clients make text plain; what did not come from one of ours is made so here.
Result<std::string> text_from(const std::string& wire) {
  if (wire.size() > kMaxScanText)
    return refusal("a text is longer than " + std::to_string(kMaxScanText) + " bytes");
  return to_plain_text(wire, kMaxScanText);
}

template <typename Items>
Result<std::vector<std::string>> texts_from(const Items& items, std::size_t max) {
  if (static_cast<std::size_t>(items.size()) > max)
    return refusal("a list has more than " + std::to_string(max) + " items");
  std::vector<std::string> texts;
  for (const std::string& item : items) {
    ASSAY_ASSIGN(std::string text, text_from(item));
    texts.push_back(std::move(text));
  }
  return texts;
}

template <typename D, typename Items>
Result<std::vector<D>> digests_from(const Items& items, std::size_t max) {
  if (static_cast<std::size_t>(items.size()) > max)
    return refusal("a list has more than " + std::to_string(max) + " digests");
  std::vector<D> digests;
  for (const std::string& item : items) {
    ASSAY_ASSIGN(const D digest, D::from_raw(item));
    digests.push_back(digest);
  }
  return digests;
}

Result<std::optional<DiffId>> layer_from(const v1::ScanFinding& wire,
                                         const catalog::ImageIdentity& image) {
  if (wire.layer() > image.diff_ids.size()) return refusal("there is no such layer");
  if (wire.layer() > 0) return std::optional(image.diff_ids[wire.layer() - 1]);
  if (wire.other_layer().empty()) return std::optional<DiffId>();
  ASSAY_ASSIGN(const DiffId layer, DiffId::from_raw(wire.other_layer()));
  return std::optional(layer);
}

Result<catalog::ScanFinding> from_wire(const v1::ScanFinding& wire,
                                       const catalog::ImageIdentity& image) {
  catalog::ScanFinding finding;
  ASSAY_ASSIGN(finding.id, text_from(wire.id()));
  if (finding.id.empty()) return refusal("a vulnerability has no id");
  ASSAY_ASSIGN(finding.aliases, texts_from(wire.aliases(), kMaxScanIds));
  finding.severity = catalog::severity_from_word(wire.severity());
  ASSAY_ASSIGN(finding.severity_said, text_from(wire.severity_said()));
  ASSAY_ASSIGN(finding.package, text_from(wire.package()));
  ASSAY_ASSIGN(finding.purl, text_from(wire.purl()));
  ASSAY_ASSIGN(finding.installed, text_from(wire.installed()));
  ASSAY_ASSIGN(finding.fixed, text_from(wire.fixed()));
  ASSAY_ASSIGN(finding.layer, layer_from(wire, image));
  ASSAY_ASSIGN(finding.applicability, catalog::parse_applicability(wire.applicability()));
  ASSAY_ASSIGN(finding.status_said, text_from(wire.status_said()));
  return finding;
}

Result<catalog::VexStatement> from_wire(const v1::VexStatement& wire) {
  catalog::VexStatement statement;
  ASSAY_ASSIGN(statement.id, text_from(wire.id()));
  if (statement.id.empty()) return refusal("a statement has no vulnerability");
  ASSAY_ASSIGN(statement.aliases, texts_from(wire.aliases(), kMaxScanIds));
  ASSAY_ASSIGN(statement.packages, texts_from(wire.packages(), kMaxProducts));
  ASSAY_ASSIGN(statement.images, digests_from<Sha256>(wire.images(), kMaxProducts));
  ASSAY_ASSIGN(statement.applicability, catalog::parse_applicability(wire.applicability()));
  ASSAY_ASSIGN(statement.status_said, text_from(wire.status_said()));
  statement.time = from_unix_ns(wire.time_ns());
  return statement;
}

Result<catalog::ImageIdentity> image_from(const v1::ScanReport& wire) {
  catalog::ImageIdentity image;
  if (!wire.image_id().empty()) {
    ASSAY_ASSIGN(const auto image_id, ConfigDigest::from_raw(wire.image_id()));
    image.image_id = image_id;
  }
  ASSAY_ASSIGN(image.manifests, digests_from<Sha256>(wire.manifests(), kMaxScanNames));
  ASSAY_ASSIGN(image.diff_ids, digests_from<DiffId>(wire.diff_ids(), kMaxScanLayers));
  ASSAY_ASSIGN(image.names, texts_from(wire.names(), kMaxScanNames));
  return image;
}

void to_wire(const catalog::ScanFinding& finding, v1::ScanFinding& out) {
  out.set_id(finding.id);
  for (const std::string& alias : finding.aliases)
    out.add_aliases(alias);
  out.set_severity(std::string(catalog::to_string(finding.severity)));
  out.set_severity_said(finding.severity_said);
  out.set_package(finding.package);
  out.set_purl(finding.purl);
  out.set_installed(finding.installed);
  out.set_fixed(finding.fixed);
  if (finding.layer) out.set_other_layer(std::string(finding.layer->raw()));
  out.set_applicability(std::string(catalog::to_string(finding.applicability)));
  out.set_status_said(finding.status_said);
}

}  // namespace

Result<catalog::ScanReport> from_wire(const v1::ScanReport& wire) {
  const auto limit = static_cast<int>(kMaxScanFindings);
  if (wire.findings_size() > limit || wire.statements_size() > limit)
    return refusal("more than " + std::to_string(limit) + " vulnerabilities");
  catalog::ScanReport report;
  ASSAY_ASSIGN(report.format, catalog::parse_scan_format(wire.format()));
  ASSAY_ASSIGN(report.tool, text_from(wire.tool()));
  if (report.tool.empty()) return refusal("no tool");
  ASSAY_ASSIGN(report.tool_version, text_from(wire.tool_version()));
  if (wire.scanned_ns() != 0) report.scanned_at = from_unix_ns(wire.scanned_ns());
  ASSAY_ASSIGN(report.image, image_from(wire));
  for (const v1::ScanFinding& one : wire.findings()) {
    ASSAY_ASSIGN(catalog::ScanFinding finding, from_wire(one, report.image));
    report.findings.push_back(std::move(finding));
  }
  for (const v1::VexStatement& one : wire.statements()) {
    ASSAY_ASSIGN(catalog::VexStatement statement, from_wire(one));
    report.statements.push_back(std::move(statement));
  }
  ASSAY_ASSIGN(report.emptiness, text_from(wire.emptiness()));
  return report;
}

void to_wire(const ScanView& scan, v1::Scan& out) {
  out.set_base(scan.base.text());
  out.set_digest(std::string(scan.digest.raw()));
  out.set_format(std::string(catalog::to_string(scan.format)));
  out.set_tool(scan.tool);
  out.set_tool_version(scan.tool_version);
  out.set_scope(std::string(catalog::to_string(scan.scope)));
  out.set_matched_by(scan.matched_by);
  out.set_image(scan.image);
  if (scan.image_id) out.set_image_id(std::string(scan.image_id->raw()));
  out.set_scanned_ns(scan.scanned_ns);
  out.set_is_time_said(scan.is_time_said);
  out.set_imported_ns(scan.imported_ns);
  out.set_imported_by(scan.imported_by);
  out.set_unknown(scan.counts.base.unknown);
  out.set_low(scan.counts.base.low);
  out.set_medium(scan.counts.base.medium);
  out.set_high(scan.counts.base.high);
  out.set_critical(scan.counts.base.critical);
  out.set_excluded(scan.counts.excluded);
  out.set_application(scan.counts.application);
  out.set_unattributed(scan.counts.unattributed);
}

void to_wire(const WhereView& where, v1::WhereVulnerabilityResponse& out) {
  for (const VulnerableBase& found : where.findings) {
    v1::VulnerableBase& one = *out.add_findings();
    to_wire(found.scan, *one.mutable_scan());
    to_wire(found.found.finding, *one.mutable_finding());
    one.set_origin(std::string(catalog::to_string(found.found.origin)));
    one.set_applicability(std::string(catalog::to_string(found.found.applicability)));
    one.set_vex_said(found.found.vex_said);
    one.set_running(found.running);
    one.set_nodes(found.nodes);
  }
  for (const VulnerableRun& run : where.runs) {
    v1::VulnerableRun& one = *out.add_runs();
    one.set_cluster(run.node.cluster);
    one.set_node(run.node.node);
    one.set_run_id(run.run_id);
    to_wire(run.names, *one.mutable_names());
    one.set_started_ns(run.started_ns);
    one.set_base(run.base.text());
    one.set_origin(std::string(catalog::to_string(run.origin)));
  }
  out.set_is_cut(where.is_cut);
}

}  // namespace assay::collector
