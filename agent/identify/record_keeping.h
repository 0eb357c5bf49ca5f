// SPDX-License-Identifier: Apache-2.0
// The node's own record of a layer directory: taken once, compared ever after.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"
#include "common/image/node_record.h"

namespace assay::agent {

/// What comparing a directory with its record showed.
struct RecordOutcome {
  std::string tampered;       ///< as in catalog::LayerEvidence, with what was known before
  std::uint64_t changed = 0;  ///< paths that are not what they were
  std::uint64_t touched = 0;  ///< paths with another ctime and nothing else
  std::vector<std::string> named = {};  ///< of the changed ones, as image::RecordDifference
};

/// Where the directory lies: its own and its parent's name and the inodes of the folders around it,
/// so that a directory that was moved away, to make room for another one, shows. "" when it cannot
/// be told; the path itself ends in " (deleted)" when there is no such directory any more.
std::string place_of(int fd);

/// What is kept of a directory.
struct PastRecord {
  std::optional<KeptRecord> kept;
  std::optional<image::NodeRecord> decoded;  ///< nothing: no record, or none that can be read
  /// It was found to be too large for a record, and not read anew since.
  bool is_too_large() const;
  /// As in catalog::LayerEvidence.
  std::string tampered() const { return kept ? kept->tampered : ""; }
};
/// Errors: kUnavailable, kCorrupt: what is kept could not be read, and must not be replaced.
Result<PastRecord> find_past(LayerRecords& records, const catalog::LayerInstance& instance);
/// What stands for the record of a layer that is too large for one.
inline constexpr std::string_view kTooLargeMark = "too large";

/// Compares `after` with the past, adds the news to what is known of tampering, and keeps
/// `after` from here on: each change is told once. Without anything kept it is the first record.
/// Errors: kUnavailable, kLimitExceeded (too large for a record), kUnsupported (the directory was
/// seen through another id map).
Result<RecordOutcome> keep_record(LayerRecords& records, const catalog::LayerInstance& instance,
                                  const PastRecord& past, const image::NodeRecord& after);

/// `known` with the changes of `difference` that it does not name yet; at most kMaxTamperedBytes,
/// then a count of the others. What is named stays named.
std::string add_changes(const std::string& known, const image::RecordDifference& difference);
/// `known` with what is true of the whole layer, first; there is always room for the three below.
std::string add_of_whole(const std::string& known, std::string_view text);
inline constexpr std::size_t kMaxTamperedBytes = 960;
inline constexpr std::string_view kRemoved = "the layer's directory (removed)";
inline constexpr std::string_view kGrown = "the layer (grown over the limits of a walk)";
inline constexpr std::string_view kOtherContent = "the layer (content, not as it was first read)";

}  // namespace assay::agent
