// SPDX-License-Identifier: Apache-2.0
// Scans of bases, as the collector keeps and shows them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "collector/core/events.h"
#include "common/catalog/scan_matching.h"

namespace assay::collector {

enum class ScanKey : std::int64_t {};

/// What is counted of one scan.
struct ScanCounts {
  catalog::SeverityCounts base;    ///< of the base, without those that do not bear on it
  std::uint64_t excluded = 0;      ///< of the base: not affected, fixed, or left out by the report
  std::uint64_t application = 0;   ///< of layers above the base
  std::uint64_t unattributed = 0;  ///< of layers that the report does not tell
  bool operator==(const ScanCounts&) const = default;
};

/// A finding of a stored scan with what is known besides the report.
struct StoredFinding {
  catalog::ScanFinding finding;  ///< its status as the report has it
  catalog::Origin origin = catalog::Origin::kBase;
  catalog::Applicability applicability = catalog::Applicability::kAffected;  ///< after VEX
  std::string vex_said;  ///< the statement that decided, "" when none did
  bool operator==(const StoredFinding&) const = default;
};

/// One scan, or one VEX document, attached to one base.
struct ScanView {
  ScanKey key{};
  catalog::BaseId base;
  Sha256 digest;  ///< of the file that was imported
  catalog::ScanFormat format{};
  std::string tool;
  std::string tool_version;
  catalog::ScanScope scope{};
  std::string matched_by;  ///< how the base was found (ScanTarget)
  std::string image;       ///< a name from the report
  std::optional<ConfigDigest> image_id;
  std::int64_t scanned_ns = 0;
  bool is_time_said = false;  ///< false: the report has no time, it is the import's
  std::int64_t imported_ns = 0;
  std::string imported_by;
  ScanCounts counts;
  bool operator==(const ScanView&) const = default;
};

/// A base that an import is about, as find_targets() found it.
struct ScanAim {
  catalog::BaseId base;
  catalog::ScanScope scope{};
  std::string matched_by;
  std::vector<catalog::Origin> origins = {};           ///< of the report's findings, in order
  std::vector<catalog::VexStatement> statements = {};  ///< of the report's, those about this base
};

struct ScanImport {
  std::shared_ptr<const catalog::ScanReport> report;  // shared with the caller, who may give up
  Sha256 digest;                                      ///< of the file
  std::int64_t scanned_ns = 0;
  bool is_time_said = false;
  std::int64_t imported_ns = 0;
  std::string imported_by;
  std::string imported_from;  ///< Actor::peer
  std::vector<ScanAim> aims;
  bool is_dry_run = false;
  std::size_t bytes = 0;  ///< what it weighs against the limits
};

/// What became of an import, for one base.
struct ScanOutcome {
  ScanView scan;
  bool is_new = false;              ///< false: this very file was there already
  std::uint64_t changed_scans = 0;  ///< of a VEX document: scans of the base whose counts changed
};

/// Where a vulnerability is, by the newest scan of each tool.
struct VulnerableBase {
  ScanView scan;
  StoredFinding found;
  std::uint64_t running = 0;  ///< on the base; of an application's finding: of this image
  std::uint64_t nodes = 0;
};

struct VulnerableRun {
  RunId run_id;
  NodeKey node;
  ContainerNames names;
  std::int64_t started_ns = 0;
  catalog::BaseId base;
  catalog::Origin origin{};
};
inline constexpr int kMaxVulnerable = 1000;  ///< findings, and runs, of one answer

struct WhereView {
  std::vector<VulnerableBase> findings;  ///< those of bases first
  std::vector<VulnerableRun> runs;       ///< newest first for each base
  bool is_cut = false;                   ///< more than kMaxVulnerable
};

struct ScanFilter {
  std::optional<catalog::BaseId> base;  ///< version "": all versions
  bool only_newest = false;             ///< the newest scan of each base itself
};
inline constexpr int kMaxListedScans = 10'000;

}  // namespace assay::collector
