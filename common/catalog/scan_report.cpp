// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/scan_report.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

namespace assay::catalog {
namespace {

constexpr std::array<std::pair<ScanFormat, std::string_view>, 6> kFormats{
    {{ScanFormat::kTrivy, "trivy"},
     {ScanFormat::kGrype, "grype"},
     {ScanFormat::kSnyk, "snyk"},
     {ScanFormat::kSarif, "sarif"},
     {ScanFormat::kCycloneDx, "cyclonedx"},
     {ScanFormat::kOpenVex, "openvex"}}};

constexpr std::array<std::pair<Applicability, std::string_view>, 5> kApplicabilities{
    {{Applicability::kAffected, "affected"},
     {Applicability::kUnderInvestigation, "under_investigation"},
     {Applicability::kNotAffected, "not_affected"},
     {Applicability::kFixed, "fixed"},
     {Applicability::kSuppressed, "suppressed"}}};

constexpr std::array<std::pair<std::string_view, Severity>, 13> kWords{
    {{"negligible", Severity::kLow},
     {"none", Severity::kLow},
     {"info", Severity::kLow},
     {"informational", Severity::kLow},
     {"minimal", Severity::kLow},
     {"low", Severity::kLow},
     {"minor", Severity::kLow},
     {"medium", Severity::kMedium},
     {"moderate", Severity::kMedium},
     {"high", Severity::kHigh},
     {"important", Severity::kHigh},
     {"major", Severity::kHigh},
     {"critical", Severity::kCritical}}};

template <typename Table, typename Key>
std::string_view word_of(const Table& table, Key key) {
  const auto found = std::ranges::find(table, key, [](const auto& row) { return row.first; });
  return found == table.end() ? std::string_view("unknown") : found->second;
}

template <typename Table>
auto parse_word(const Table& table, std::string_view text, const char* what)
    -> Result<typename Table::value_type::first_type> {
  const auto found = std::ranges::find(table, text, [](const auto& row) { return row.second; });
  if (found != table.end()) return found->first;
  return Error{ErrorCode::kInvalidArgument,
               std::string("no ") + what + ": \"" + std::string(text.substr(0, 64)) + "\""};
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return out;
}

}  // namespace

std::string_view to_string(ScanFormat format) {
  return word_of(kFormats, format);
}

Result<ScanFormat> parse_scan_format(std::string_view text) {
  return parse_word(kFormats, text, "format of a scan");
}

std::string_view to_string(Severity severity) {
  switch (severity) {
    case Severity::kLow:
      return "LOW";
    case Severity::kMedium:
      return "MEDIUM";
    case Severity::kHigh:
      return "HIGH";
    case Severity::kCritical:
      return "CRITICAL";
    case Severity::kUnknown:
      break;
  }
  return "UNKNOWN";
}

Severity severity_from_word(std::string_view word) {
  const std::string wanted = lower(word.substr(0, 32));
  const auto found = std::ranges::find(kWords, wanted, [](const auto& row) { return row.first; });
  return found == kWords.end() ? Severity::kUnknown : found->second;
}

Severity severity_from_score(double score) {
  if (score >= 9) return Severity::kCritical;
  if (score >= 7) return Severity::kHigh;
  if (score >= 4) return Severity::kMedium;
  return score > 0 ? Severity::kLow : Severity::kUnknown;
}

std::string_view to_string(Applicability applicability) {
  return word_of(kApplicabilities, applicability);
}

Result<Applicability> parse_applicability(std::string_view text) {
  return parse_word(kApplicabilities, text, "status of a vulnerability");
}

void merge_repeated(std::vector<ScanFinding>& findings) {
  using Key = std::tuple<std::string, std::string, std::string, std::optional<DiffId>>;
  std::map<Key, std::size_t> places;
  std::vector<ScanFinding> merged;
  for (ScanFinding& finding : findings) {
    const auto [place, is_new] = places.try_emplace(
        Key{finding.id, finding.package, finding.installed, finding.layer}, merged.size());
    if (is_new) {
      merged.push_back(std::move(finding));
      continue;
    }
    ScanFinding& kept = merged[place->second];
    for (std::string& alias : finding.aliases)
      if (kept.aliases.size() < kMaxScanIds && std::ranges::count(kept.aliases, alias) == 0)
        kept.aliases.push_back(std::move(alias));
    if (kept.severity < finding.severity) {
      kept.severity = finding.severity;
      kept.severity_said = std::move(finding.severity_said);
    }
    if (kept.fixed.empty()) kept.fixed = std::move(finding.fixed);
    if (kept.purl.empty()) kept.purl = std::move(finding.purl);
    // One that counts outweighs one that was left out.
    if (counts(finding.applicability) && !counts(kept.applicability)) {
      kept.applicability = finding.applicability;
      kept.status_said = std::move(finding.status_said);
    }
  }
  findings = std::move(merged);
}

void count(SeverityCounts& counts, Severity severity) {
  switch (severity) {
    case Severity::kUnknown:
      ++counts.unknown;
      break;
    case Severity::kLow:
      ++counts.low;
      break;
    case Severity::kMedium:
      ++counts.medium;
      break;
    case Severity::kHigh:
      ++counts.high;
      break;
    case Severity::kCritical:
      ++counts.critical;
      break;
  }
}

}  // namespace assay::catalog
