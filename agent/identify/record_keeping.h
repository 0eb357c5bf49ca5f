// SPDX-License-Identifier: Apache-2.0
// The node's own record of a layer directory: taken once, compared ever after.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/core/ports.h"
#include "common/image/node_record.h"

namespace assay::agent {

/// What comparing a directory with its record showed.
struct RecordOutcome {
  std::string tampered;       ///< as in catalog::LayerEvidence, with what was known before
  std::uint64_t changed = 0;  ///< paths that are not what they were
  std::uint64_t touched = 0;  ///< paths with another ctime and nothing else
};

/// Where the directory lies: its own and its parent's name and the inodes of the folders around it,
/// so that a directory that was moved away, to make room for another one, shows. "" when it cannot
/// be told; the path itself ends in " (deleted)" when there is no such directory any more.
std::string place_of(int fd);

/// The record that is kept of `instance`, decoded; nothing when there is none that can be read.
std::optional<image::NodeRecord> decode_record(const std::optional<KeptRecord>& kept);

/// Compares `after` with what was kept, adds the news to what is known of tampering, and keeps
/// `after` from here on: each change is told once. Without anything kept it is the first record.
/// Errors: kUnavailable, kLimitExceeded (too large for a record), kUnsupported (the directory was
/// seen through another id map).
Result<RecordOutcome> keep_record(LayerRecords& records, const catalog::LayerInstance& instance,
                                  const std::optional<KeptRecord>& kept,
                                  const image::NodeRecord& after);

/// `known` with the changes of `difference` that it does not name yet; at most kMaxTamperedBytes,
/// then a count of the others. What is named stays named.
std::string add_changes(const std::string& known, const image::RecordDifference& difference);
inline constexpr std::size_t kMaxTamperedBytes = 960;

}  // namespace assay::agent
