// SPDX-License-Identifier: Apache-2.0
// The rung `exact`: a layer's tar stream against its diff ID and against its directory
// (docs/architecture.md "Evidence").
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

enum class ExactStatus {
  kExact,     ///< the stream has the diff ID, and the directory is what the stream says
  kDiffers,   ///< it was looked at, and something disagrees: the finding `mismatch`
  kNoSource,  ///< nothing to check it with: `reason` says why. Says nothing of the layer
};
/// "exact", "differs", "no-source".
std::string_view to_string(ExactStatus status);

inline constexpr std::size_t kMaxExactPaths = 32;

/// What one check found.
struct ExactOutcome {
  ExactStatus status = ExactStatus::kNoSource;
  StreamPlace::Kind source = StreamPlace::Kind::kNone;
  std::optional<DiffId> claimed;  ///< what the runtime's store says
  std::optional<DiffId> found;    ///< of the stream as it is today
  bool is_other_diff_id = false;  ///< of kDiffers: what disagrees
  bool is_other_shape = false;
  bool is_other_content = false;
  bool is_other_deletions = false;  ///< where both sides could see them
  std::vector<std::string> paths;   ///< "PATH (WHAT)", escaped, at most kMaxExactPaths
  std::uint64_t more_paths = 0;     ///< that differ and are not in `paths`
  std::string reason;               ///< of kNoSource, for people, escaped
  std::uint64_t stream_bytes = 0;   ///< length of the tar stream
  std::chrono::nanoseconds took{};  ///< wall time
};
/// One line for people and for the finding: what disagrees, then the paths. "" unless kDiffers.
std::string difference_text(const ExactOutcome& outcome);

/// A layer that was proven: what its directory held while it was.
struct LayerExact {
  LayerRef ref;
  DiffId diff_id;
  ShapeDigest shape;
  ContentDigest content;
};

/// A layer whose tar stream, directory and diff ID do not agree.
struct LayerMismatch {
  LayerRef ref;
  std::string text;  ///< difference_text()
};

/// A layer that cannot be proven.
struct LayerUnproven {
  LayerRef ref;
  std::string reason;  ///< escaped
};

/// Opens what a store keeps of a layer's tar stream. Thread-safe.
class StreamOpener {
 public:
  virtual ~StreamOpener() = default;
  /// A regular file, open for reading, beneath the store. Errors: kNotFound, kUntrusted (someone
  /// but root may write it, or a folder on the way).
  virtual Result<UniqueFd> open(const StreamPlace& place) = 0;
};

/// Checks one layer on the thread that asks. What is found reaches the runs on the layer by itself
/// (rung `exact`, or `mismatch`), whoever asked. Thread-safe; checks run side by side.
class ExactChecker {
 public:
  virtual ~ExactChecker() = default;
  /// Blocks on disk for as long as reading the whole layer twice takes; checks `stop` between
  /// reads.
  /// Errors: kCancelled, kNotFound (the directory is gone), and that it could not be looked at:
  /// kUnavailable, kPermissionDenied, kLimitExceeded, kCorrupt (it changes while it is read).
  virtual Result<ExactOutcome> check(const LayerTask& task, const std::stop_token& stop) = 0;
};

}  // namespace assay::agent
