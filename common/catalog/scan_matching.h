// SPDX-License-Identifier: Apache-2.0
// Which bases a report is about, which of its findings are theirs, and what VEX says of them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/catalog/catalog.h"
#include "common/catalog/scan_report.h"

namespace assay::catalog {

/// The annotation of a base that holds the OCI config digest of the image it was approved from.
inline constexpr const char* kConfigDigestAnnotation = "assay.config-digest";

enum class ScanScope {
  kBase,         ///< the image is the base itself: its counts are the base's
  kApplication,  ///< an image on the base: what it shows of the base may be less than there is
};
std::string_view to_string(ScanScope scope);
/// Errors: kInvalidArgument.
Result<ScanScope> parse_scan_scope(std::string_view text);

/// Whose layers hold the package of a finding.
enum class Origin { kBase, kApplication, kUnknown };
std::string_view to_string(Origin origin);
/// Errors: kInvalidArgument.
Result<Origin> parse_origin(std::string_view text);

/// A base that a report is about.
struct ScanTarget {
  const Base* base = nullptr;        ///< owned by the catalog
  const BaseStack* stack = nullptr;  ///< that was found in it, null when none was
  ScanScope scope = ScanScope::kBase;
  std::string matched_by;  ///< "image-id", "manifest-digest", "diff-ids", "name"
};

/// `wanted`: the base that a person named, or null to find it. All bases that are this very image;
/// else those with the longest stack that the image stands on (diff IDs only). With a name and a
/// report that says nothing of its image the person is believed.
/// Errors: kInvalidArgument: the report does not say what it is about and no base was named, or it
/// is about another image than `wanted`; kNotFound: it is about no base of the catalog.
Result<std::vector<ScanTarget>> find_targets(const ScanReport& report, const Catalog& catalog,
                                             const Base* wanted);

/// Of each finding, in order: whose it is. In a scan of the base itself all are the base's.
std::vector<Origin> origins_of(const ScanReport& report, const ScanTarget& target);

/// The statements of `report` that are about `target`: those without an image too, once a person
/// named the base or the document is about it otherwise.
std::vector<VexStatement> statements_for(const ScanReport& report, const ScanTarget& target);

/// What the newest of `statements` on `finding` says; null when none is on it. Of equally old ones
/// the last.
const VexStatement* statement_on(const ScanFinding& finding,
                                 const std::vector<VexStatement>& statements);

/// The status after VEX: a statement outweighs what the report says by itself.
Applicability judged_applicability(const ScanFinding& finding,
                                   const std::vector<VexStatement>& statements);

/// A package URL, as far as packages are told apart by it.
/// Source: github.com/package-url/purl-spec, PURL-SPECIFICATION.
struct PackageUrl {
  std::string type;
  std::string path;     ///< NAMESPACE/NAME or NAME
  std::string version;  ///< "" when there is none
};
/// Nothing for what is no package URL.
std::optional<PackageUrl> parse_purl(std::string_view text);

}  // namespace assay::catalog
