// SPDX-License-Identifier: Apache-2.0
// What is known of a base's last vulnerability scan, as far as rules and lists need it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "common/base/clock.h"
#include "common/catalog/base_image.h"

namespace assay::catalog {

/// Vulnerabilities by severity, each counted once; those of the base, not of an application on it.
struct SeverityCounts {
  std::uint64_t unknown = 0;
  std::uint64_t low = 0;  ///< with those that a scanner calls negligible
  std::uint64_t medium = 0;
  std::uint64_t high = 0;
  std::uint64_t critical = 0;
  std::uint64_t total() const { return unknown + low + medium + high + critical; }
  bool operator==(const SeverityCounts&) const = default;
};

struct ScanSummary {
  std::string tool;  ///< "trivy", as reports name it; untrusted
  WallTime scanned_at{};
  SeverityCounts counts;
  bool operator==(const ScanSummary&) const = default;
};

/// The newest scan of each base that has one.
using ScanSummaries = std::map<BaseId, ScanSummary>;

}  // namespace assay::catalog
