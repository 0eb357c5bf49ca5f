// SPDX-License-Identifier: Apache-2.0
// Any bytes as a report of a scanner: an error, or short plain text within the limits.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/base/encoding.h"
#include "common/catalog/scan_matching.h"
#include "common/scan/read_scan.h"

namespace {

using namespace assay;

void check_text(const std::string& text) {
  if (text.size() > catalog::kMaxScanText || to_plain_text(text, text.size()) != text) std::abort();
}

void check_finding(const catalog::ScanFinding& finding) {
  if (finding.id.empty() || finding.aliases.size() > catalog::kMaxScanIds) std::abort();
  for (const std::string* text :
       {&finding.id, &finding.severity_said, &finding.package, &finding.purl, &finding.installed,
        &finding.fixed, &finding.status_said})
    check_text(*text);
  for (const std::string& alias : finding.aliases)
    check_text(alias);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto report = scan::read_scan(text);
  if (!report) return 0;
  if (report->findings.size() > catalog::kMaxScanFindings ||
      report->image.diff_ids.size() > catalog::kMaxScanLayers)
    std::abort();
  check_text(report->tool);
  for (const auto& finding : report->findings) {
    check_finding(finding);
    (void)catalog::judged_applicability(finding, report->statements);
  }
  for (const auto& statement : report->statements)
    for (const std::string& package : statement.packages)
      (void)catalog::parse_purl(package);
  return 0;
}
