// SPDX-License-Identifier: Apache-2.0
// What a scanner's report, or a VEX document, says of one image: the same values whatever wrote it.
// Readers are in common/scan; docs/formats/scans.md tells where each value comes from.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/catalog/scan_summary.h"

namespace assay::catalog {

// More than any scanner reports of an image; a report over them is refused, never shortened.
inline constexpr std::size_t kMaxScanFindings = 20'000;
inline constexpr std::size_t kMaxScanIds = 32;       ///< aliases of one vulnerability
inline constexpr std::size_t kMaxScanLayers = 1000;  ///< of one image
inline constexpr std::size_t kMaxScanNames = 100;    ///< names, and digests, of one image
inline constexpr std::size_t kMaxScanText = 256;     ///< bytes of one text

enum class ScanFormat { kTrivy, kGrype, kSnyk, kSarif, kCycloneDx, kOpenVex };
/// "trivy", "grype", "snyk", "sarif", "cyclonedx", "openvex".
std::string_view to_string(ScanFormat format);
/// Errors: kInvalidArgument.
Result<ScanFormat> parse_scan_format(std::string_view text);

/// In the order of badness, so that the worse of two is the greater.
enum class Severity { kUnknown, kLow, kMedium, kHigh, kCritical };
/// "UNKNOWN", "LOW", … as scanners print them.
std::string_view to_string(Severity severity);
/// Any tool's word, in any case: negligible, info and none are LOW, moderate is MEDIUM, important
/// is HIGH; what is none of the words is UNKNOWN.
Severity severity_from_word(std::string_view word);
/// Of a CVSS base score: 9, 7, 4, more than 0; 0 is UNKNOWN.
/// Source: CVSS v3.1 specification, section 5, "Qualitative Severity Rating Scale".
Severity severity_from_score(double score);

/// Whether a vulnerability bears on the image. The words are OpenVEX's and one of ours.
enum class Applicability {
  kAffected,            ///< also when nothing is said
  kUnderInvestigation,  ///< counts as affected
  kNotAffected,
  kFixed,       ///< in this very image, not merely in a later version of the package
  kSuppressed,  ///< the report itself leaves it out
};
/// "affected", "under_investigation", "not_affected", "fixed", "suppressed".
std::string_view to_string(Applicability applicability);
/// Errors: kInvalidArgument.
Result<Applicability> parse_applicability(std::string_view text);
/// Whether it is one of those that scanners count.
inline bool counts(Applicability applicability) {
  return applicability == Applicability::kAffected ||
         applicability == Applicability::kUnderInvestigation;
}

/// Which image a report is about, as far as it says so.
struct ImageIdentity {
  std::optional<ConfigDigest> image_id = {};  ///< a store of containerd calls a manifest digest so
  std::vector<Sha256> manifests = {};         ///< of manifests and of indexes
  std::vector<DiffId> diff_ids = {};          ///< all layers, bottom first; empty: not said
  std::vector<std::string> names = {};
  bool is_known() const { return image_id || !manifests.empty() || !diff_ids.empty(); }
  bool operator==(const ImageIdentity&) const = default;
};

/// One vulnerability in one package. All text is plain (to_plain_text) and still untrusted.
struct ScanFinding {
  std::string id = {};                    ///< as the tool names it
  std::vector<std::string> aliases = {};  ///< other names of it, without `id`
  Severity severity = Severity::kUnknown;
  std::string severity_said = {};  ///< the tool's own word or score
  std::string package = {};
  std::string purl = {};
  std::string installed = {};
  std::string fixed = {};  ///< versions that have the fix, "" when there is none or it is not said
  std::optional<DiffId> layer = {};  ///< the lowest one that holds the package
  Applicability applicability = Applicability::kAffected;
  std::string status_said =
      {};  ///< "will_not_fix", "vulnerable_code_not_present" …: the tool's own words
  bool operator==(const ScanFinding&) const = default;
};

/// One statement of a VEX document, on one vulnerability.
struct VexStatement {
  std::string id = {};
  std::vector<std::string> aliases = {};
  std::vector<std::string> packages = {};  ///< purls; none: all packages
  std::vector<Sha256> images = {};         ///< digests of the images it is about; none: not said
  Applicability applicability = Applicability::kAffected;
  std::string status_said = {};  ///< status, justification, impact or action, as they stand there
  WallTime time{};
  bool operator==(const VexStatement&) const = default;
};

struct ScanReport {
  ScanFormat format{};
  std::string tool;
  std::string tool_version;
  std::optional<WallTime> scanned_at;  ///< none: the report does not say
  ImageIdentity image;
  std::vector<ScanFinding> findings;
  std::vector<VexStatement> statements;  ///< of a VEX document, which has no findings
  /// Why "no findings" may mean that nothing was looked for, as in a plain SBOM; "" when it cannot.
  std::string emptiness;
  bool operator==(const ScanReport&) const = default;
};

/// Puts together what is one and the same finding (id, package, installed version and layer), so
/// that each is counted once, as scanners count; the worse severity and all aliases stay.
void merge_repeated(std::vector<ScanFinding>& findings);

/// Adds one to the count of `severity`.
void count(SeverityCounts& counts, Severity severity);

}  // namespace assay::catalog
