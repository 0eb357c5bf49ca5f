// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "common/base/encoding.h"
#include "common/scan/readers.h"

namespace assay::scan {
namespace {

using catalog::ScanFinding;
using catalog::ScanReport;
using catalog::Severity;

bool is_word_character(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

std::string plain(std::string_view part) {
  return to_plain_text(part, catalog::kMaxScanText);
}

/// What stands in `text` between `before` and the next of `after` (or the end); "" without
/// `before`.
std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const auto at = text.find(before);
  if (at == std::string_view::npos) return "";
  text.remove_prefix(at + before.size());
  return plain(text.substr(0, text.find(after)));
}

/// The identifier that begins with `prefix` ("CVE-", "GHSA-") and has `parts` parts behind it.
std::string find_id(std::string_view text, std::string_view prefix, int parts) {
  const auto at = text.find(prefix);
  if (at == std::string_view::npos) return "";
  std::size_t end = at + prefix.size();
  for (int part = 0; part < parts; ++part) {
    if (part > 0 && (end >= text.size() || text[end++] != '-')) return "";
    const std::size_t begin = end;
    while (end < text.size() && is_word_character(text[end]))
      ++end;
    if (end == begin) return "";
  }
  return plain(text.substr(at, end - at));
}

std::string find_public_id(std::string_view text) {
  const std::string cve = find_id(text, "CVE-", 2);
  return cve.empty() ? find_id(text, "GHSA-", 3) : cve;
}

/// One run of a tool, with its rules at hand.
class Run {
 public:
  explicit Run(const Json& run) : run_(run), driver_(member(run, {"tool", "driver"})) {
    tool_ = text(driver_, "name");
    for (const Json& rule : list(driver_, "rules"))
      rules_.emplace(text(rule, "id"), &rule);
  }

  const std::string& tool() const { return tool_; }
  std::string tool_version() const {
    const std::string version = text(driver_, "semanticVersion");
    return version.empty() ? text(driver_, "version") : version;
  }
  bool is_of(std::string_view name) const { return tool_.starts_with(name); }

  /// Nothing when the result is no vulnerability.
  std::optional<ScanFinding> read(const Json& result) const {
    std::string rule_id = text(result, "ruleId");
    if (rule_id.empty()) rule_id = text(member(result, {"rule", "id"}));
    const Json& rule = rule_of(result, rule_id);
    if (rule_id.empty()) rule_id = text(rule, "id");
    if (!is_vulnerability(rule, rule_id)) return std::nullopt;
    ScanFinding finding;
    finding.id = is_of("Snyk") ? rule_id : find_public_id(rule_id);
    if (finding.id.empty()) finding.id = other_id(rule, rule_id);
    add_alias(finding, find_public_id(raw_text(member(rule, "fullDescription"), "text")));
    read_severity(result, rule, finding);
    read_package(result, finding);
    read_suppression(result, finding);
    return finding;
  }

  std::optional<WallTime> time_of_scan() const {
    for (const Json& invocation : list(run_, "invocations"))
      for (const char* key : {"endTimeUtc", "startTimeUtc"})
        if (const auto said = time(raw_text(invocation, key))) return said;
    // Snyk: …/0/2025-01-01T00:00:00.000Z
    const std::string_view id = raw_text(member(run_, "automationDetails"), "id");
    return time(id.substr(id.rfind('/') + 1));
  }

 private:
  const Json& rule_of(const Json& result, const std::string& rule_id) const {
    static const Json none;
    const Json& index = member(result, "ruleIndex");
    const Json& rules = list(driver_, "rules");
    if (rule_id.empty() && index.is_number_unsigned() && index.get<std::size_t>() < rules.size())
      return rules[index.get<std::size_t>()];
    const auto found = rules_.find(rule_id);
    return found == rules_.end() ? none : *found->second;
  }

  /// Trivy's reports hold secrets and settings as well, and any linter writes SARIF.
  bool is_vulnerability(const Json& rule, const std::string& rule_id) const {
    if (rule_id.empty()) return false;
    if (is_of("Snyk") || is_of("Anchore") || is_of("grype")) return true;
    for (const Json& tag : list(member(rule, "properties"), "tags"))
      if (text(tag) == "vulnerability") return true;
    return !find_public_id(rule_id).empty();
  }

  /// Grype's rules are named ID-PACKAGE, and their short description begins with ID.
  static std::string other_id(const Json& rule, const std::string& rule_id) {
    const std::string_view said = raw_text(member(rule, "shortDescription"), "text");
    const std::string first = plain(said.substr(0, said.find(' ')));
    return !first.empty() && rule_id.starts_with(first + "-") ? first : rule_id;
  }

  static std::string word_of(const Json& result, const Json& rule) {
    constexpr std::array<std::string_view, 5> kWords{"UNKNOWN", "LOW", "MEDIUM", "HIGH",
                                                     "CRITICAL"};
    for (const Json& tag : list(member(rule, "properties"), "tags"))
      if (const std::string word = text(tag); std::ranges::count(kWords, word) > 0) return word;
    const std::string_view message = raw_text(member(result, "message"), "text");
    const std::string trivy = between(message, "Severity: ", "\n");
    if (!trivy.empty()) return trivy;
    const std::string snyk = between(message, " with a ", " severity vulnerability");
    if (!snyk.empty() && snyk.find(' ') == std::string::npos) return snyk;
    if (message.starts_with("A ")) {
      const std::string grype = between(message, "A ", " ");
      if (message.find(" vulnerability in ") != std::string_view::npos) return grype;
    }
    return between(raw_text(member(rule, "help"), "text"), "Severity: ", "\n");
  }

  static void read_severity(const Json& result, const Json& rule, ScanFinding& finding) {
    finding.severity_said = word_of(result, rule);
    finding.severity = catalog::severity_from_word(finding.severity_said);
    if (!finding.severity_said.empty()) return;
    finding.severity_said = text(member(rule, {"properties", "security-severity"}));
    if (!finding.severity_said.empty()) {
      finding.severity =
          catalog::severity_from_score(std::strtod(finding.severity_said.c_str(), nullptr));
      return;
    }
    finding.severity_said = text(result, "level");
    if (finding.severity_said.empty())
      finding.severity_said = text(member(rule, {"defaultConfiguration", "level"}));
    if (finding.severity_said == "error") finding.severity = Severity::kHigh;
    if (finding.severity_said == "warning") finding.severity = Severity::kMedium;
    if (finding.severity_said == "note") finding.severity = Severity::kLow;
  }

  static void read_package(const Json& result, ScanFinding& finding) {
    const std::string_view message = raw_text(member(result, "message"), "text");
    finding.package = between(message, "Package: ", "\n");
    finding.installed = between(message, "Installed Version: ", "\n");
    finding.fixed = between(message, "Fixed Version: ", "\n");
    if (finding.package.empty()) {  // Grype
      finding.package = between(message, " package: ", ",");
      finding.installed = between(message, ", version ", " was found");
    }
    for (const Json& location : list(result, "locations"))
      for (const Json& logical : list(location, "logicalLocations"))
        read_place(raw_text(logical, "fullyQualifiedName"), finding);
  }

  /// Grype: IMAGE@sha256:DIFF_ID:/PATH. Snyk: PACKAGE@VERSION.
  static void read_place(std::string_view name, ScanFinding& finding) {
    const auto at = name.find("@sha256:");
    if (at != std::string_view::npos) {
      const auto parsed = DiffId::parse(name.substr(at + 1, 7 + 64));
      if (parsed && !finding.layer) finding.layer = *parsed;
      return;
    }
    const auto version = name.rfind('@');
    if (version == std::string_view::npos || version == 0 || !finding.package.empty()) return;
    finding.package = plain(name.substr(0, version));
    finding.installed = plain(name.substr(version + 1));
  }

  void read_suppression(const Json& result, ScanFinding& finding) const {
    if (is_of("Anchore Container Vulnerability Report")) return;  // it marks every result
    for (const Json& one : list(result, "suppressions")) {
      const std::string status = text(one, "status");
      if (status == "rejected" || status == "underReview") continue;
      finding.applicability = catalog::Applicability::kSuppressed;
      finding.status_said = joined({"suppressed", text(one, "justification")}, ": ");
    }
  }

  const Json& run_;
  const Json& driver_;
  std::string tool_;
  std::map<std::string, const Json*> rules_;
};

Result<void> read_image(const Json& run, ScanReport& out) {
  const Json& properties = member(run, "properties");
  ASSAY_ASSIGN(const auto image_id, digest<ConfigDigest>(properties, "imageID"));
  if (image_id) out.image.image_id = *image_id;
  for (const char* key : {"repoTags", "repoDigests"})
    for (const Json& item : list(properties, key))
      add_reference(out.image, text(item));
  add_name(out.image, text(properties, "imageName"));
  return ok();
}

Result<void> read_run(const Json& json, std::size_t& others, ScanReport& out) {
  const Run run(json);
  if (run.tool().empty()) return missing("\"tool.driver.name\" of a run");
  // SARIF 2.1.0, 3.14.23: without results the tool did not run to its end.
  if (!member(json, "results").is_array()) return missing("the list \"results\" of a run");
  if (out.tool.empty()) {
    out.tool = run.tool();
    out.tool_version = run.tool_version();
  }
  if (!out.scanned_at) out.scanned_at = run.time_of_scan();
  ASSAY_TRY(read_image(json, out));
  for (const Json& result : list(json, "results")) {
    auto finding = run.read(result);
    if (finding)
      ASSAY_TRY(add_finding(out, std::move(*finding)));
    else
      ++others;
  }
  return ok();
}

}  // namespace

Result<ScanReport> read_sarif(const Json& report) {
  if (text(report, "version") != "2.1.0")
    return Error{ErrorCode::kUnsupported, "it looks like SARIF of version \"" +
                                              text(report, "version") + "\"; 2.1.0 is read"};
  if (list(report, "runs").empty()) return missing("the list \"runs\"");
  ScanReport out;
  out.format = catalog::ScanFormat::kSarif;
  std::size_t others = 0;
  for (const Json& run : list(report, "runs"))
    ASSAY_TRY(read_run(run, others, out));
  if (out.findings.empty() && others > 0)
    return Error{ErrorCode::kUnsupported,
                 "it is SARIF of " + out.tool + ", but none of its results is a vulnerability"};
  return out;
}

}  // namespace assay::scan
