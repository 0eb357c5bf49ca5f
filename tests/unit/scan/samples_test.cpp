// SPDX-License-Identifier: Apache-2.0
// Reports that scanners really wrote (tests/golden/scans): what they say is read as they say it.
#include <catch2/catch.hpp>

#include <algorithm>
#include <set>

#include "common/base/file.h"
#include "common/scan/read_scan.h"

using namespace assay;
using catalog::ScanFinding;
using catalog::ScanReport;

namespace {

ScanReport read_sample(const std::string& name) {
  const auto text = read_file(ASSAY_SOURCE_DIR "/tests/golden/scans/" + name, 1 << 20);
  REQUIRE(text);
  auto report = scan::read_scan(*text);
  INFO((report ? std::string() : report.error().text()));
  REQUIRE(report);
  return *report;
}

catalog::SeverityCounts counts_of(const ScanReport& report) {
  catalog::SeverityCounts counts;
  for (const ScanFinding& finding : report.findings)
    if (catalog::counts(finding.applicability)) catalog::count(counts, finding.severity);
  return counts;
}

struct Row {
  const char* file;
  const char* format;
  const char* tool;
  const char* version;
  catalog::SeverityCounts counts;  // as the tool itself prints them
  std::size_t diff_ids;
  std::size_t with_layer;  // findings
  const char* image_id;    // its beginning, "" when the report has none
  const char* scanned_at;
};

const Row kRows[] = {
    {"trivy-alpine-310.json",
     "trivy",
     "trivy",
     "dev",
     {0, 0, 4, 0, 0},
     1,
     4,
     "9617696764",
     "2021-08-25T12:20:30Z"},
    {"trivy-alpine-39.json",
     "trivy",
     "trivy",
     "dev",
     {0, 0, 4, 0, 2},
     1,
     6,
     "055936d392",
     "2021-08-25T12:20:30Z"},
    {"trivy-debian-buster.json",
     "trivy",
     "trivy",
     "dev",
     {0, 1, 0, 0, 1},
     1,
     2,
     "c2c03a296d",
     "2021-08-25T12:20:30Z"},
    {"trivy-distroless-base.json",
     "trivy",
     "trivy",
     "dev",
     {0, 2, 2, 0, 0},
     2,
     4,
     "7f04a8d247",
     "2021-08-25T12:20:30Z"},
    {"trivy-ubi-7.json",
     "trivy",
     "trivy",
     "dev",
     {0, 1, 0, 0, 0},
     2,
     1,
     "6fecccc91c",
     "2021-08-25T12:20:30Z"},
    {"trivy-alpine-310.sarif", "sarif", "Trivy", "dev", {0, 0, 4, 0, 0}, 0, 0, "9617696764", ""},
    {"trivy-cyclonedx.json",
     "cyclonedx",
     "trivy",
     "dev",
     {},
     2,
     0,
     "49193a2310",
     "2022-05-28T10:20:03Z"},
    {"grype-all-fields.json", "grype", "grype", "0.28.0", {0, 1, 0, 2, 2}, 17, 5, "ce9898fd21", ""},
    {"grype-images.json",
     "grype",
     "grype",
     "[not provided]",
     {0, 1, 0, 0, 1},
     3,
     0,
     "ab5608d634",
     ""},
    {"grype-none.json", "grype", "grype", "0.7.0", {}, 1, 0, "22667f5368", ""},
    {"snyk-container.json", "snyk", "snyk", "", {0, 13, 9, 2, 1}, 0, 0, "", ""},
    {"snyk-docker-remediation.json", "snyk", "snyk", "", {0, 0, 0, 3, 0}, 0, 0, "", ""},
    {"snyk-container.sarif",
     "sarif",
     "Snyk Container",
     "1.0.0-monorepo",
     {0, 1, 0, 0, 0},
     0,
     0,
     "",
     "2025-01-01T00:00:00Z"},
    {"cyclonedx-vulnerability-1.5.json", "cyclonedx", "cyclonedx", "", {}, 0, 0, "", ""},
    {"openvex-0.2.0.json",
     "openvex",
     "The OpenVEX Project <openvex@openssf.org>",
     "1",
     {},
     0,
     0,
     "",
     "2023-07-18T00:28:47Z"},
};

const ScanFinding& finding_of(const ScanReport& report, const std::string& id) {
  const auto found = std::ranges::find(report.findings, id, &ScanFinding::id);
  REQUIRE(found != report.findings.end());
  return *found;
}

}  // namespace

TEST_CASE("every sample is read, with the counts that its scanner prints", "[scan][unit]") {
  for (const Row& row : kRows) {
    INFO(row.file);
    const ScanReport report = read_sample(row.file);
    CHECK(to_string(report.format) == row.format);
    CHECK(report.tool == row.tool);
    CHECK(report.tool_version == row.version);
    const auto counts = counts_of(report);
    CHECK(counts.unknown == row.counts.unknown);
    CHECK(counts.low == row.counts.low);
    CHECK(counts.medium == row.counts.medium);
    CHECK(counts.high == row.counts.high);
    CHECK(counts.critical == row.counts.critical);
    CHECK(report.image.diff_ids.size() == row.diff_ids);
    CHECK(std::ranges::count_if(report.findings, [](const ScanFinding& one) {
            return one.layer.has_value();
          }) == static_cast<std::ptrdiff_t>(row.with_layer));
    CHECK((report.image.image_id ? report.image.image_id->hex() : "").starts_with(row.image_id));
    CHECK(report.image.image_id.has_value() == (std::string(row.image_id) != ""));
    CHECK((report.scanned_at ? to_rfc3339(*report.scanned_at, 0) : "") == row.scanned_at);
  }
}

TEST_CASE("a finding of Trivy keeps package, versions, layer and Trivy's own words",
          "[scan][unit]") {
  const ScanReport report = read_sample("trivy-alpine-39.json");
  const ScanFinding& finding = finding_of(report, "CVE-2019-1549");
  CHECK(finding.package == "libcrypto1.1");
  CHECK(finding.installed == "1.1.1b-r1");
  CHECK(finding.fixed == "1.1.1d-r0");
  CHECK(finding.severity_said == "MEDIUM");
  CHECK(finding.status_said == "fixed");  // a later version is; this image is affected
  CHECK(finding.applicability == catalog::Applicability::kAffected);
  CHECK(finding.purl == "pkg:apk/alpine/libcrypto1.1@1.1.1b-r1?arch=x86_64&distro=3.9.4");
  CHECK(finding.layer == report.image.diff_ids.front());
  CHECK(report.image.names ==
        std::vector<std::string>{"ghcr.io/aquasecurity/trivy-test-images:alpine-39",
                                 "testdata/fixtures/images/alpine-39.tar.gz"});
}

TEST_CASE("Trivy's JSON and its SARIF of one image say the same", "[scan][unit]") {
  const ScanReport json = read_sample("trivy-alpine-310.json");
  const ScanReport sarif = read_sample("trivy-alpine-310.sarif");
  REQUIRE(json.findings.size() == sarif.findings.size());
  for (const ScanFinding& one : json.findings) {
    const auto is_it = [&](const ScanFinding& other) {
      return other.id == one.id && other.package == one.package &&
             other.installed == one.installed && other.fixed == one.fixed &&
             other.severity == one.severity;
    };
    CHECK(std::ranges::count_if(sarif.findings, is_it) == 1);
  }
  CHECK(json.image.image_id == sarif.image.image_id);
}

TEST_CASE("the lowest layer over all of Grype's locations counts", "[scan][unit]") {
  const ScanReport report = read_sample("grype-all-fields.json");
  // dpkg's status lies in layer 7, the package's own files in layer 1.
  CHECK(finding_of(report, "CVE-2021-33574").layer == report.image.diff_ids.front());
  CHECK(finding_of(report, "CVE-2004-0971").layer == report.image.diff_ids[6]);
  const ScanFinding& django = finding_of(report, "GHSA-v6rh-hp5x-86rv");
  CHECK(django.layer == report.image.diff_ids[9]);
  CHECK(django.aliases == std::vector<std::string>{"CVE-2021-44420"});
  CHECK(django.fixed == "3.2.10");
  CHECK(finding_of(report, "CVE-2004-0971").severity_said == "Negligible");
}

TEST_CASE("Snyk's findings are counted once for all ways that lead to a package", "[scan][unit]") {
  const ScanReport report = read_sample("snyk-docker-remediation.json");
  CHECK(report.findings.size() == 3);
  const ScanFinding& expat = finding_of(report, "SNYK-LINUX-EXPAT-450908");
  CHECK(expat.aliases.front() == "CVE-2018-20843");
  CHECK(expat.aliases.size() == 16);
  CHECK(expat.installed == "2.2.5-r0");
  CHECK(expat.fixed == "2.2.7-r0");
}

TEST_CASE("Snyk's findings of an image's applications are read as well", "[scan][unit]") {
  const ScanReport report = read_sample("snyk-container.json");
  CHECK(report.findings.size() == 25);  // uniqueCount: 13, and 12 of the application
  CHECK(finding_of(report, "npm:jsonwebtoken:20150331").package == "jsonwebtoken");
  CHECK(finding_of(report, "SNYK-DEBIAN11-GLIBC-532215").package == "glibc");
}

TEST_CASE("Snyk's SARIF has its severity in words", "[scan][unit]") {
  const ScanReport report = read_sample("snyk-container.sarif");
  const ScanFinding& finding = report.findings.front();
  CHECK(finding.id == "SNYK-LINUX-BZIP2-106947");
  CHECK(finding.aliases == std::vector<std::string>{"CVE-2016-3189"});
  CHECK(finding.severity_said == "low");  // its score says 6.5
  CHECK(finding.package == "bzip2");
  CHECK(finding.installed == "1.0.6-8.1");
}

TEST_CASE("a CycloneDX document without vulnerabilities may be a plain SBOM", "[scan][unit]") {
  const ScanReport report = read_sample("trivy-cyclonedx.json");
  CHECK(report.emptiness.find("SBOM") != std::string::npos);
  CHECK(report.image.names ==
        std::vector<std::string>{"maven-test-project:latest", "maven-test-project"});
}

TEST_CASE("CycloneDX's analysis becomes a status, and no word of it is lost", "[scan][unit]") {
  const ScanReport report = read_sample("cyclonedx-vulnerability-1.5.json");
  const ScanFinding& finding = report.findings.front();
  CHECK(finding.id == "SNYK-JAVA-COMFASTERXMLJACKSONCORE-32111");
  CHECK(finding.aliases == std::vector<std::string>{"CVE-2018-7489"});
  CHECK(finding.severity == catalog::Severity::kCritical);
  CHECK(finding.package == "com.fasterxml.jackson.core/jackson-databind");
  CHECK(finding.installed == "2.9.4");
  CHECK(finding.applicability == catalog::Applicability::kNotAffected);
  CHECK(finding.status_said.starts_with(
      "not_affected: code_not_reachable: will_not_fix: update: An optional explanation"));
}

TEST_CASE("OpenVEX's statements name images, packages and why", "[scan][unit]") {
  const ScanReport report = read_sample("openvex-0.2.0.json");
  REQUIRE(report.statements.size() == 5);
  const catalog::VexStatement& statement = report.statements[3];
  CHECK(statement.id == "CVE-2023-3446");
  CHECK(statement.applicability == catalog::Applicability::kNotAffected);
  CHECK(statement.status_said ==
        "not_affected: vulnerable_code_not_present: affected functions were removed before "
        "packaging");
  CHECK(statement.packages == std::vector<std::string>{"pkg:apk/alpine/libssl3@3.0.8-r3",
                                                       "pkg:apk/alpine/libcrypto3@3.0.8-r3"});
  REQUIRE(statement.images.size() == 1);
  CHECK(statement.images.front().hex().starts_with("124c7d2707904e"));
  CHECK(to_rfc3339(statement.time, 0) == "2023-07-18T00:28:47Z");
}

TEST_CASE("no part of a sample is taken for the whole", "[scan][unit]") {
  for (const Row& row : kRows) {
    INFO(row.file);
    const auto text =
        read_file(ASSAY_SOURCE_DIR "/tests/golden/scans/" + std::string(row.file), 1 << 20);
    REQUIRE(text);
    for (const std::size_t part : {std::size_t{1}, std::size_t{2}, std::size_t{3}}) {
      const auto cut = scan::read_scan(std::string_view(*text).substr(0, text->size() * part / 4));
      REQUIRE_FALSE(cut);
      CHECK(cut.error().code == ErrorCode::kCorrupt);
      CHECK(cut.error().message.find("breaks off at byte") != std::string::npos);
    }
  }
}
