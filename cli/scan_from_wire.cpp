// SPDX-License-Identifier: Apache-2.0
// Scans: the collector's messages as the client's own values, and a report on its way there.
#include <map>

#include "cli/from_wire.h"

namespace assay::cli {
namespace {

template <typename D>
std::optional<D> digest_of(const std::string& raw) {
  auto digest = D::from_raw(raw);
  if (!digest) return std::nullopt;
  return *digest;
}

VulnerableBase finding_of(const v1::VulnerableBase& wire) {
  const v1::ScanFinding& finding = wire.finding();
  VulnerableBase found;
  found.scan = from_wire(wire.scan());
  found.id = finding.id();
  found.aliases = {finding.aliases().begin(), finding.aliases().end()};
  found.severity = finding.severity();
  found.severity_said = finding.severity_said();
  found.package = finding.package();
  found.installed = finding.installed();
  found.fixed = finding.fixed();
  found.origin = wire.origin();
  found.applicability = wire.applicability();
  found.status_said = finding.status_said();
  found.vex_said = wire.vex_said();
  found.running = wire.running();
  found.nodes = wire.nodes();
  return found;
}

VulnerableRun run_of(const v1::VulnerableRun& wire) {
  return {wire.cluster(),
          wire.node(),
          wire.run_id(),
          from_wire(wire.names()),
          time_from(wire.started_ns()),
          wire.base(),
          wire.origin()};
}

using LayerNumbers = std::map<DiffId, std::uint32_t>;

void set_finding(const catalog::ScanFinding& finding, const LayerNumbers& layers,
                 v1::ScanFinding& out) {
  out.set_id(finding.id);
  for (const std::string& alias : finding.aliases)
    out.add_aliases(alias);
  out.set_severity(std::string(catalog::to_string(finding.severity)));
  out.set_severity_said(finding.severity_said);
  out.set_package(finding.package);
  out.set_purl(finding.purl);
  out.set_installed(finding.installed);
  out.set_fixed(finding.fixed);
  if (finding.layer) {
    const auto known = layers.find(*finding.layer);
    if (known != layers.end())
      out.set_layer(known->second);
    else
      out.set_other_layer(std::string(finding.layer->raw()));
  }
  out.set_applicability(std::string(catalog::to_string(finding.applicability)));
  out.set_status_said(finding.status_said);
}

void set_statement(const catalog::VexStatement& statement, v1::VexStatement& out) {
  out.set_id(statement.id);
  for (const std::string& alias : statement.aliases)
    out.add_aliases(alias);
  for (const std::string& package : statement.packages)
    out.add_packages(package);
  for (const Sha256& image : statement.images)
    out.add_images(std::string(image.raw()));
  out.set_applicability(std::string(catalog::to_string(statement.applicability)));
  out.set_status_said(statement.status_said);
  out.set_time_ns(to_unix_ns(statement.time));
}

}  // namespace

Scan from_wire(const v1::Scan& wire) {
  Scan scan;
  scan.base = wire.base();
  scan.digest = digest_of<Sha256>(wire.digest());
  scan.format = wire.format();
  scan.tool = wire.tool();
  scan.tool_version = wire.tool_version();
  scan.scope = wire.scope();
  scan.matched_by = wire.matched_by();
  scan.image = wire.image();
  scan.image_id = digest_of<ConfigDigest>(wire.image_id());
  scan.scanned_at = time_from(wire.scanned_ns());
  scan.is_time_said = wire.is_time_said();
  scan.imported_at = time_from(wire.imported_ns());
  scan.imported_by = wire.imported_by();
  scan.counts = {wire.unknown(), wire.low(), wire.medium(), wire.high(), wire.critical()};
  scan.excluded = wire.excluded();
  scan.application = wire.application();
  scan.unattributed = wire.unattributed();
  return scan;
}

ImportedScan from_wire(const v1::ImportedScan& wire) {
  return {from_wire(wire.scan()), wire.is_new(), wire.changed_scans()};
}

Where from_wire(const v1::WhereVulnerabilityResponse& wire) {
  Where where;
  for (const v1::VulnerableBase& one : wire.findings())
    where.findings.push_back(finding_of(one));
  for (const v1::VulnerableRun& one : wire.runs())
    where.runs.push_back(run_of(one));
  where.is_cut = wire.is_cut();
  return where;
}

v1::ScanReport to_wire(const catalog::ScanReport& report) {
  v1::ScanReport wire;
  wire.set_format(std::string(catalog::to_string(report.format)));
  wire.set_tool(report.tool);
  wire.set_tool_version(report.tool_version);
  if (report.scanned_at) wire.set_scanned_ns(to_unix_ns(*report.scanned_at));
  if (report.image.image_id) wire.set_image_id(std::string(report.image.image_id->raw()));
  for (const Sha256& digest : report.image.manifests)
    wire.add_manifests(std::string(digest.raw()));
  LayerNumbers layers;
  for (const DiffId& layer : report.image.diff_ids) {
    wire.add_diff_ids(std::string(layer.raw()));
    layers.emplace(layer, static_cast<std::uint32_t>(wire.diff_ids_size()));
  }
  for (const std::string& name : report.image.names)
    wire.add_names(name);
  for (const catalog::ScanFinding& finding : report.findings)
    set_finding(finding, layers, *wire.add_findings());
  for (const catalog::VexStatement& statement : report.statements)
    set_statement(statement, *wire.add_statements());
  wire.set_emptiness(report.emptiness);
  return wire;
}

}  // namespace assay::cli
