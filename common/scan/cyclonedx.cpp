// SPDX-License-Identifier: Apache-2.0
#include <map>

#include "common/base/encoding.h"
#include "common/catalog/scan_matching.h"
#include "common/scan/readers.h"

namespace assay::scan {
namespace {

using catalog::Applicability;
using catalog::ScanFinding;
using catalog::ScanReport;
using catalog::Severity;

constexpr std::string_view kTrivy = "aquasecurity:trivy:";
constexpr std::size_t kMaxComponents = 200'000;

struct Component {
  std::string name;
  std::string version;
  std::string purl;
  std::optional<DiffId> layer;
};
using Components = std::map<std::string, Component>;  // by bom-ref

Result<void> read_image(const Json& component, ScanReport& out) {
  for (const Json& property : list(component, "properties")) {
    const std::string name = text(property, "name");
    const std::string value = text(property, "value");
    if (!name.starts_with(kTrivy)) continue;
    const std::string_view key = std::string_view(name).substr(kTrivy.size());
    if (key == "ImageID") {
      ASSAY_ASSIGN(out.image.image_id, digest<ConfigDigest>(property, "value"));
    } else if (key == "DiffID") {
      ASSAY_ASSIGN(const auto diff_id, digest<DiffId>(property, "value"));
      if (diff_id) out.image.diff_ids.push_back(*diff_id);
    } else if (key == "RepoTag" || key == "RepoDigest") {
      add_reference(out.image, value);
    }
  }
  const auto url = catalog::parse_purl(text(component, "purl"));
  if (url && url->type == "oci") add_reference(out.image, url->path + "@" + url->version);
  // syft writes the digest of the manifest as the version of the image.
  if (text(component, "type") == "container") add_reference(out.image, text(component, "version"));
  add_name(out.image, text(component, "name"));
  return ok();
}

/// Components may hold components.
Result<void> read_components(const Json& parent, const LayerOrder& order, Components& out) {
  for (const Json& item : list(parent, "components")) {
    if (out.size() >= kMaxComponents)
      return Error{ErrorCode::kLimitExceeded,
                   "it has more than " + std::to_string(kMaxComponents) + " components"};
    const std::string group = text(item, "group");
    Component component{joined({group, text(item, "name")}, "/"), text(item, "version"),
                        text(item, "purl"), std::nullopt};
    for (const Json& property : list(item, "properties")) {
      const std::string name = text(property, "name");
      if (name == "aquasecurity:trivy:LayerDiffID" ||
          (name.starts_with("syft:location:") && name.ends_with(":layerID")))
        order.take_lower(component.layer, text(property, "value"));
    }
    out.emplace(text(item, "bom-ref"), std::move(component));
    ASSAY_TRY(read_components(item, order, out));
  }
  return ok();
}

/// The rating of the vulnerability's own source; without one, the worst.
void read_severity(const Json& item, ScanFinding& finding) {
  const std::string source = text(member(item, {"source", "name"}));
  bool has_own = false;
  for (const Json& rating : list(item, "ratings")) {
    std::string said = text(rating, "severity");
    Severity severity = catalog::severity_from_word(said);
    const Json& score = member(rating, "score");
    if (said.empty() && score.is_number()) {
      said = text(score);
      severity = catalog::severity_from_score(score.get<double>());
    }
    const bool is_own = !source.empty() && text(member(rating, {"source", "name"})) == source;
    const bool is_first = finding.severity_said.empty();
    if (said.empty() || (has_own && !is_own)) continue;
    if (!is_first && is_own == has_own && severity <= finding.severity) continue;
    finding.severity = severity;
    finding.severity_said = said;
    has_own = is_own;
  }
}

Applicability applicability_of(const std::string& state) {
  if (state == "not_affected" || state == "false_positive") return Applicability::kNotAffected;
  if (state == "resolved" || state == "resolved_with_pedigree") return Applicability::kFixed;
  if (state == "in_triage") return Applicability::kUnderInvestigation;
  return Applicability::kAffected;
}

/// "Upgrade NAME to version VERSION", as Trivy writes it; other advice is prose.
std::string fixed_in(const std::string& recommendation) {
  constexpr std::string_view kBefore = " to version ";
  const auto at = recommendation.find(kBefore);
  if (!recommendation.starts_with("Upgrade ") || at == std::string::npos) return "";
  return recommendation.substr(at + kBefore.size());
}

Result<ScanFinding> read_vulnerability(const Json& item) {
  ScanFinding finding;
  finding.id = text(item, "id");
  if (finding.id.empty()) return missing("\"id\" of a vulnerability");
  for (const Json& reference : list(item, "references"))
    add_alias(finding, text(reference, "id"));
  read_severity(item, finding);
  finding.fixed = fixed_in(text(item, "recommendation"));
  const Json& analysis = member(item, "analysis");
  ASSAY_ASSIGN(std::vector<std::string> said, texts(analysis, "response", catalog::kMaxScanIds));
  said.insert(said.begin(), text(analysis, "justification"));
  said.insert(said.begin(), text(analysis, "state"));
  said.push_back(text(analysis, "detail"));
  finding.applicability = applicability_of(text(analysis, "state"));
  finding.status_said = joined(said, ": ");
  return finding;
}

/// A bom-ref, or a BOM-Link to one ("urn:cdx:SERIAL/VERSION#REF").
const Component* find_component(const Components& components, const std::string& reference) {
  auto found = components.find(reference);
  if (found == components.end() && reference.starts_with("urn:cdx:"))
    found = components.find(reference.substr(reference.find('#') + 1));
  return found == components.end() ? nullptr : &found->second;
}

Result<void> read_vulnerabilities(const Json& report, const Components& components,
                                  ScanReport& out) {
  for (const Json& item : list(report, "vulnerabilities")) {
    ASSAY_ASSIGN(ScanFinding finding, read_vulnerability(item));
    if (list(item, "affects").empty()) ASSAY_TRY(add_finding(out, finding));
    for (const Json& affected : list(item, "affects")) {
      const std::string reference = text(affected, "ref");
      ScanFinding one = finding;
      const Component* component = find_component(components, reference);
      if (component != nullptr) {
        one.package = component->name;
        one.installed = component->version;
        one.purl = component->purl;
        one.layer = component->layer;
      } else {
        one.package = reference;
      }
      ASSAY_TRY(add_finding(out, std::move(one)));
    }
  }
  return ok();
}

void read_tool(const Json& metadata, ScanReport& out) {
  const Json& tools = member(metadata, "tools");
  const Json& listed = tools.is_array() ? tools : list(tools, "components");
  out.tool = listed.empty() ? "" : text(listed.front(), "name");
  out.tool_version = listed.empty() ? "" : text(listed.front(), "version");
  if (out.tool.empty()) out.tool = "cyclonedx";
}

}  // namespace

Result<ScanReport> read_cyclonedx(const Json& report) {
  ScanReport out;
  out.format = catalog::ScanFormat::kCycloneDx;
  const Json& metadata = member(report, "metadata");
  read_tool(metadata, out);
  out.scanned_at = time(raw_text(metadata, "timestamp"));
  ASSAY_TRY(read_image(member(metadata, "component"), out));
  Components components;
  ASSAY_TRY(read_components(report, LayerOrder(out.image.diff_ids), components));
  ASSAY_TRY(read_vulnerabilities(report, components, out));
  if (out.findings.empty())
    out.emptiness = "it lists components and no vulnerability, as a plain SBOM does";
  return out;
}

}  // namespace assay::scan
