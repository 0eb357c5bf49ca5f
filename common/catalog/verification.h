// SPDX-License-Identifier: Apache-2.0
// What reading layers again on demand shows: the same values in agent, collector and command line.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::catalog {

enum class LayerOutcome {
  kAsRecorded,  ///< every byte was read, and all is as it was first read
  kChanged,     ///< now or ever since: what was found is never taken back
  kNoRecord,    ///< there is nothing to compare it with, for a reason
  kNotChecked,  ///< nobody could look, for a reason
};
/// "as-recorded", "changed", "no-record", "not-checked".
std::string_view to_string(LayerOutcome outcome);
/// Anything else is kNotChecked: what is not understood is never told as clean.
LayerOutcome parse_layer_outcome(std::string_view text);

/// One that stands on a layer; text is raw.
struct VerifiedContainer {
  std::string run_id;
  std::string container_id;
  std::string name;
  auto operator<=>(const VerifiedContainer&) const = default;
};

inline constexpr std::size_t kMaxVerifiedContainers = 16;  ///< that are named
inline constexpr std::size_t kMaxVerifiedChanges = 64;     ///< likewise
/// What a layer was compared with, as VerifiedLayer::checked says it.
inline constexpr std::string_view kCheckedRecord = "record";
inline constexpr std::string_view kCheckedContent = "content";
inline constexpr std::string_view kCheckedExact = "exact";
/// Of a row that is about no layer but about what a container sees of its base.
inline constexpr std::string_view kCheckedView = "view";

struct VerifiedLayer {
  std::vector<VerifiedContainer> containers;  ///< at most kMaxVerifiedContainers
  std::uint32_t containers_total = 0;
  std::string name;               ///< lower directory as the kernel holds it
  std::optional<DiffId> diff_id;  ///< proven, else claimed
  std::optional<ShapeDigest> shape;
  std::optional<ContentDigest> content;
  LayerOutcome outcome = LayerOutcome::kNotChecked;
  std::vector<std::string> checked;
  std::vector<std::string> changes;  ///< found by this reading, escaped
  std::string tampered;              ///< as in LayerEvidence: all that was ever found
  std::string reason;                ///< of kNoRecord and kNotChecked, for people
  std::uint64_t entries = 0;
  std::uint64_t files_read = 0;
  std::uint64_t bytes_read = 0;
  std::chrono::nanoseconds took{};
  bool operator==(const VerifiedLayer&) const = default;
};

struct VerifyBegun {
  std::uint32_t layers = 0;
  bool operator==(const VerifyBegun&) const = default;
};
/// Of the layer that is being read.
struct VerifyProgress {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  bool operator==(const VerifyProgress&) const = default;
};
/// The last event of a command.
struct VerifyDone {
  std::optional<ErrorCode> error;  ///< nothing: all layers were told
  std::string message;
  bool operator==(const VerifyDone&) const = default;
};
using VerifyEvent = std::variant<VerifyBegun, VerifyProgress, VerifiedLayer, VerifyDone>;

inline VerifyDone failed(const Error& error) {
  return {error.code, error.text()};
}

/// How long a command may take; beyond these it is cut to them.
inline constexpr std::chrono::milliseconds kLeastVerifyTimeout{100};
inline constexpr std::chrono::milliseconds kMostVerifyTimeout = std::chrono::hours(24);
inline constexpr std::chrono::milliseconds kDefaultVerifyTimeout = std::chrono::minutes(10);
inline constexpr std::size_t kMaxVerifyTargetBytes = 512;

}  // namespace assay::catalog
