// SPDX-License-Identifier: Apache-2.0
// What the samples do not hold: odd, broken, hostile and unknown reports.
#include <catch2/catch.hpp>

#include "common/scan/read_scan.h"

using namespace assay;
using catalog::Applicability;
using catalog::ScanReport;
using catalog::Severity;

namespace {

ScanReport read_text(const std::string& text) {
  auto report = scan::read_scan(text);
  INFO((report ? std::string() : report.error().text()));
  REQUIRE(report);
  return *report;
}

const std::string kDigest(64, 'a');
const std::string kTop(64, 'b');

std::string trivy(const std::string& vulnerability, const std::string& rest = "") {
  return R"({"SchemaVersion": 2, "ArtifactName": "x", "ArtifactType": "container_image", "Results":)"
         R"([{"Target": "x", "Class": "os-pkgs", "Vulnerabilities": [)" +
         vulnerability + "]" + rest + "}]}";
}

std::string grype_sarif(const std::string& suppressions) {
  return R"({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "grype", "version": "0.92",
    "rules": [{"id": "CVE-2024-1-libfoo", "shortDescription":
      {"text": "CVE-2024-1 high vulnerability for libfoo package"},
      "properties": {"security-severity": "7.5"}}]}},
    "results": [{"ruleId": "CVE-2024-1-libfoo", "level": "error", "message":
      {"text": "A high vulnerability in deb package: libfoo, version 1.0-1 was found in image x at: /var/lib/dpkg/status"},
      "suppressions": )" +
         suppressions + R"(, "locations": [{"logicalLocations": [{"fullyQualifiedName":
      "x@sha256:)" +
         kDigest + R"(:/var/lib/dpkg/status"}]}]}]}]})";
}

}  // namespace

TEST_CASE("what is no report is refused with what is read", "[scan][unit]") {
  struct Row {
    const char* name;
    std::string text;
    ErrorCode code;
    const char* message;
  };
  const Row rows[] = {
      {"nothing", "", ErrorCode::kCorrupt, "it is empty"},
      {"blanks", " \n", ErrorCode::kCorrupt, "it is empty"},
      {"text", "hello", ErrorCode::kCorrupt, "breaks off at byte 1 of 5"},
      {"two documents", "{}{}", ErrorCode::kCorrupt, "breaks off"},
      {"another object", R"({"a": 1})", ErrorCode::kUnsupported, "read are Trivy JSON"},
      {"a number", "1", ErrorCode::kUnsupported, "read are Trivy JSON"},
      {"an empty list", "[]", ErrorCode::kCorrupt, "is missing"},
      {"Trivy's schema 1", R"([{"Target": "x", "Vulnerabilities": null}])", ErrorCode::kUnsupported,
       "schema 1"},
      {"a later Trivy", R"({"SchemaVersion": 3, "ArtifactName": "x"})", ErrorCode::kUnsupported,
       "schema version \"3\""},
      {"SPDX", R"({"spdxVersion": "SPDX-2.3"})", ErrorCode::kUnsupported, "SPDX"},
      {"a failed scan", R"({"ok": false, "error": "no such image"})", ErrorCode::kCorrupt,
       "no such image"},
      {"Grype without its end", R"({"matches": []})", ErrorCode::kCorrupt, "\"descriptor\""},
      {"a match without id", R"({"matches": [{}], "descriptor": {}})", ErrorCode::kCorrupt,
       "\"vulnerability.id\""},
      {"Trivy without id", trivy(R"({"PkgName": "a"})"), ErrorCode::kCorrupt,
       "\"VulnerabilityID\""},
      {"a layer that is no digest",
       trivy(R"({"VulnerabilityID": "CVE-1", "Layer": {"DiffID": "sha256:12"}})"),
       ErrorCode::kCorrupt, "no SHA-256 digest"},
      {"SARIF of another version", R"({"version": "2.0.0", "runs": [{}]})", ErrorCode::kUnsupported,
       "2.1.0 is read"},
      {"SARIF of a run that failed",
       R"({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Trivy"}}}]})",
       ErrorCode::kCorrupt, "\"results\""},
      {"SARIF of a linter",
       R"({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "ESLint"}}, "results":
          [{"ruleId": "no-var"}]}]})",
       ErrorCode::kUnsupported, "none of its results is a vulnerability"},
      {"VEX without statements",
       R"({"@context": "https://openvex.dev/ns/v0.2.0", "author": "a",
          "timestamp": "2024-01-01T00:00:00Z"})",
       ErrorCode::kCorrupt, "\"statements\""},
      {"VEX that gives no reason",
       R"({"@context": "https://openvex.dev/ns", "author": "a", "timestamp": "2024-01-01T00:00:00Z",
          "statements": [{"vulnerability": {"name": "CVE-1"}, "status": "not_affected"}]})",
       ErrorCode::kCorrupt, "without a justification"},
      {"VEX with a status of its own",
       R"({"@context": "https://openvex.dev/ns", "author": "a", "timestamp": "2024-01-01T00:00:00Z",
          "statements": [{"vulnerability": {"name": "CVE-1"}, "status": "suppressed"}]})",
       ErrorCode::kCorrupt, "no status that OpenVEX knows"},
      {"a deep one", std::string(100, '[') + std::string(100, ']'), ErrorCode::kLimitExceeded,
       "more than 64 levels"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto report = scan::read_scan(row.text);
    REQUIRE_FALSE(report);
    INFO(report.error().message);
    CHECK(report.error().code == row.code);
    CHECK(report.error().message.find(row.message) != std::string::npos);
  }
}

TEST_CASE("more findings than the limit are refused, never cut", "[scan][unit]") {
  std::string list;
  for (std::size_t i = 0; i <= catalog::kMaxScanFindings; ++i)
    list += (i == 0 ? "" : ",") + std::string(R"({"VulnerabilityID": "CVE-)") + std::to_string(i) +
            R"("})";
  const auto report = scan::read_scan(trivy(list));
  REQUIRE_FALSE(report);
  CHECK(report.error().code == ErrorCode::kLimitExceeded);
}

TEST_CASE("hostile text becomes plain and short", "[scan][unit]") {
  const ScanReport report = read_text(
      trivy(R"({"VulnerabilityID": "CVE-1\u001b[2J", "PkgName": ")" + std::string(10'000, 'x') +
            R"(", "InstalledVersion": "1\u202e2", "FixedVersion": ["no", "text"]})"));
  const auto& finding = report.findings.front();
  CHECK(finding.id == "CVE-1?[2J");
  CHECK(finding.package.size() <= catalog::kMaxScanText);
  CHECK(finding.installed == "1?2");
  CHECK(finding.fixed.empty());
}

TEST_CASE("a report that looked for no packages may not count as clean", "[scan][unit]") {
  CHECK_FALSE(read_text(R"({"SchemaVersion": 2, "ArtifactName": "x", "Results":
                            [{"Target": "x", "Class": "secret"}]})")
                  .emptiness.empty());
  CHECK_FALSE(read_text(R"({"SchemaVersion": 2, "ArtifactName": "x"})").emptiness.empty());
  CHECK(read_text(R"({"SchemaVersion": 2, "ArtifactName": "x", "Results":
                      [{"Target": "x", "Class": "os-pkgs"}]})")
            .emptiness.empty());
}

TEST_CASE("what Trivy was told to leave out is kept and does not count", "[scan][unit]") {
  const ScanReport report = read_text(trivy("", R"(, "ExperimentalModifiedFindings": [
      {"Type": "vulnerability", "Status": "not_affected", "Statement": "vulnerable_code_not_present",
       "Source": "vex.json", "Finding": {"VulnerabilityID": "CVE-1", "Severity": "HIGH"}},
      {"Type": "secret", "Finding": {}},
      {"Type": "vulnerability", "Status": "ignored", "Source": ".trivyignore",
       "Finding": {"VulnerabilityID": "CVE-2", "Severity": "LOW"}}])"));
  REQUIRE(report.findings.size() == 2);
  CHECK(report.findings[0].applicability == Applicability::kNotAffected);
  CHECK(report.findings[0].status_said == "not_affected: vulnerable_code_not_present: vex.json");
  CHECK(report.findings[1].applicability == Applicability::kSuppressed);
}

TEST_CASE("Grype's SARIF has layer, package and severity", "[scan][unit]") {
  const ScanReport report = read_text(grype_sarif("[]"));
  const auto& finding = report.findings.front();
  CHECK(finding.id == "CVE-2024-1");
  CHECK(finding.package == "libfoo");
  CHECK(finding.installed == "1.0-1");
  CHECK(finding.severity_said == "high");
  REQUIRE(finding.layer);
  CHECK(finding.layer->hex() == kDigest);
  CHECK(finding.applicability == Applicability::kAffected);
}

TEST_CASE("a suppressed result of SARIF does not count, a rejected suppression does nothing",
          "[scan][unit]") {
  const ScanReport accepted = read_text(grype_sarif(R"([{"kind": "external"}])"));
  CHECK(accepted.findings.front().applicability == Applicability::kSuppressed);
  const ScanReport rejected =
      read_text(grype_sarif(R"([{"kind": "external", "status": "rejected"}])"));
  CHECK(rejected.findings.front().applicability == Applicability::kAffected);
}

TEST_CASE("what Grype ignored is kept and does not count", "[scan][unit]") {
  const ScanReport report = read_text(
      R"({"matches": [], "descriptor": {"name": "grype", "timestamp": "2025-02-03T04:05:06.7+02:00"},
          "ignoredMatches": [{"vulnerability": {"id": "CVE-1", "severity": "High"},
                              "artifact": {"name": "a", "version": "1"}}]})");
  CHECK(report.findings.front().applicability == Applicability::kSuppressed);
  REQUIRE(report.scanned_at);
  CHECK(to_rfc3339(*report.scanned_at) == "2025-02-03T02:05:06.700Z");
}

TEST_CASE("CycloneDX: the own source's rating counts, else the worst; layers come along",
          "[scan][unit]") {
  const ScanReport report = read_text(R"({"bomFormat": "CycloneDX", "specVersion": "1.6",
    "metadata": {"component": {"type": "container", "name": "x", "properties": [
       {"name": "aquasecurity:trivy:DiffID", "value": "sha256:)" +
                                      kDigest + R"("},
       {"name": "aquasecurity:trivy:DiffID", "value": "sha256:)" +
                                      kTop + R"("}]}},
    "components": [{"bom-ref": "a", "name": "liba", "version": "1", "properties": [
       {"name": "syft:location:0:layerID", "value": "sha256:)" +
                                      kTop + R"("},
       {"name": "syft:location:1:layerID", "value": "sha256:)" +
                                      kDigest + R"("}],
       "components": [{"bom-ref": "b", "name": "inner", "version": "2"}]}],
    "vulnerabilities": [
      {"id": "CVE-1", "source": {"name": "debian"}, "recommendation": "Upgrade liba to version 1.1",
       "ratings": [{"severity": "critical", "source": {"name": "nvd"}},
                   {"severity": "low", "source": {"name": "debian"}}],
       "affects": [{"ref": "a"}, {"ref": "urn:cdx:1234/1#b"}]},
      {"id": "CVE-2", "ratings": [{"severity": "low"}, {"score": 9.1}], "affects": [{"ref": "?"}]},
      {"id": "CVE-3"}]})");
  REQUIRE(report.findings.size() == 4);
  CHECK(report.findings[0].severity == Severity::kLow);
  CHECK(report.findings[0].fixed == "1.1");
  REQUIRE(report.findings[0].layer);
  CHECK(report.findings[0].layer->hex() == kDigest);
  CHECK(report.findings[1].package == "inner");
  CHECK(report.findings[2].severity == Severity::kCritical);
  CHECK(report.findings[2].severity_said == "9.1");
  CHECK(report.findings[2].package == "?");
  CHECK(report.findings[3].severity == Severity::kUnknown);
}

TEST_CASE("severities of all tools are mapped, none is lost", "[scan][unit]") {
  struct Row {
    const char* word;
    Severity severity;
  };
  for (const Row& row : {Row{"Negligible", Severity::kLow}, Row{"none", Severity::kLow},
                         Row{"info", Severity::kLow}, Row{"LOW", Severity::kLow},
                         Row{"Moderate", Severity::kMedium}, Row{"medium", Severity::kMedium},
                         Row{"Important", Severity::kHigh}, Row{"High", Severity::kHigh},
                         Row{"CRITICAL", Severity::kCritical}, Row{"Unknown", Severity::kUnknown},
                         Row{"", Severity::kUnknown}, Row{"weird", Severity::kUnknown}}) {
    INFO(row.word);
    CHECK(catalog::severity_from_word(row.word) == row.severity);
  }
  CHECK(catalog::severity_from_score(9.0) == Severity::kCritical);
  CHECK(catalog::severity_from_score(8.9) == Severity::kHigh);
  CHECK(catalog::severity_from_score(6.9) == Severity::kMedium);
  CHECK(catalog::severity_from_score(0.1) == Severity::kLow);
  CHECK(catalog::severity_from_score(0) == Severity::kUnknown);
}

TEST_CASE("one finding told twice is one, with the worse severity", "[scan][unit]") {
  const ScanReport report = read_text(trivy(
      R"({"VulnerabilityID": "CVE-1", "PkgName": "a", "Severity": "LOW"},
         {"VulnerabilityID": "CVE-1", "PkgName": "a", "Severity": "HIGH", "FixedVersion": "2"},
         {"VulnerabilityID": "CVE-1", "PkgName": "b", "Severity": "LOW"})"));
  REQUIRE(report.findings.size() == 2);
  CHECK(report.findings[0].severity == Severity::kHigh);
  CHECK(report.findings[0].fixed == "2");
}
