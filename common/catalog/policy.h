// SPDX-License-Identifier: Apache-2.0
// What the signed policy may set (docs/cli.md "The policy", docs/adr/0009).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/catalog/evidence.h"

namespace assay::catalog {

/// What a runtime's store claims never approves, whatever a policy says.
inline constexpr Rung kLowestApprovingRung = Rung::kShape;
inline constexpr std::chrono::seconds kMaxPendingDeadline = std::chrono::days(7);
inline constexpr std::chrono::seconds kMaxApprovalAge = std::chrono::days(3650);
inline constexpr std::size_t kMaxExemptions = 1000;
inline constexpr std::size_t kMaxSelectorBytes = 255;
inline constexpr std::size_t kMaxExemptionLabels = 16;

/// How many vulnerabilities of each severity the last scan of a base may show; none: any number.
struct SeverityLimits {
  std::optional<std::uint64_t> critical;
  std::optional<std::uint64_t> high;
  std::optional<std::uint64_t> medium;
  std::optional<std::uint64_t> low;
  std::optional<std::uint64_t> unknown;
  bool operator==(const SeverityLimits&) const = default;
};

/// Some containers may stand on a bad base for a while. Selectors that are set must all match;
/// at least one is set. They look at what the node's records say, and only where a record that
/// only root can write was confirmed by the kernel.
struct Exemption {
  std::string base;  ///< NAME (every version) or NAME:VERSION
  std::string pod_namespace = {};
  std::string workload = {};   ///< workload_of() the container
  std::string container = {};  ///< its name; a "*" at the end stands for anything
  std::string image = {};      ///< by name; likewise, and without a tag every tag is meant
  std::map<std::string, std::string> labels = {};
  std::string owner;  ///< who answers for it
  std::string reason;
  WallTime until{};  ///< from this moment on it is over
  bool operator==(const Exemption&) const = default;
};

/// What is as it should be on a sandbox: a pod's pause container. Looks only at those that a record
/// which only root can write calls so, where the kernel agrees with that record.
struct SandboxRule {
  std::vector<std::string> bases = {};    ///< NAME or NAME:VERSION; empty: any
  std::vector<std::string> accepts = {};  ///< verdicts that are no finding; never `revoked`
  bool operator==(const SandboxRule&) const = default;
};
inline constexpr std::size_t kMaxSandboxBases = 64;

/// What the signed policy may set; these are the documented defaults.
struct Policy {
  Rung required_rung = Rung::kContent;  ///< for `approved`
  std::chrono::seconds pending_deadline = std::chrono::minutes(5);
  // When a base counts as contained in a set of files (containment.h). Only ever bad news.
  std::uint32_t contained_share_percent = 50;  ///< of the base's weight
  std::uint32_t contained_own_percent = 50;    ///< of what tells it from another base
  std::uint64_t contained_min_files = 20;      ///< that are present
  // Below these, bad news makes a run `pending` instead of what it says.
  Rung deprecated_rung = Rung::kContained;
  Rung expired_rung = Rung::kContained;
  Rung revoked_rung = Rung::kContained;
  // How long an approval stands. Judged everywhere.
  std::optional<std::chrono::seconds> since_build = {};
  // Rules on scans: judged by collectors, which alone know them, and only ever stricter.
  std::optional<std::chrono::seconds> since_scan = {};  ///< a base never scanned: since approval
  bool requires_scan = false;                           ///< a base never scanned is not approved
  SeverityLimits severity_limits = {};
  std::vector<Exemption> exemptions = {};
  SandboxRule sandbox = {};
  bool reports_rogue = true;  ///< false: a container that no runtime knows is no finding
  bool operator==(const Policy&) const = default;

  bool has_scan_rules() const;
};

}  // namespace assay::catalog
