// SPDX-License-Identifier: Apache-2.0
// What a recording holds: what the probe read, raw, and every answer that the auditor got.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "agent/core/ports.h"
#include "common/base/clock.h"
#include "common/catalog/log.h"

namespace assay::agent {

struct RecordingHeader {
  std::uint32_t abi_version = 0;  ///< of the probe's records
  std::string agent_version;
  std::string kernel;
  std::string cluster;
  std::string node;
  std::string boot_id;
  WallTime wall{};  ///< at `boot`
  BootTime boot{};
  bool records_execs = false;
  std::chrono::milliseconds never_executed_age{0};
};

struct RecordedBytes {
  ProbeChannel channel = ProbeChannel::kStarts;
  std::string bytes;
};

enum class SweepStep { kBegan, kAsks, kCompleted };

struct RecordedCommand {
  RunKey key;
  std::string executable;
  std::vector<std::string> arguments;
  bool arguments_truncated = false;
};

struct RecordedNames {
  RunKey key;
  std::string names;  ///< serialized assay.v1.ContainerNames
};

/// A remembered layer, or (`is_news`) one that was found out. Answers to questions come in their
/// order.
struct RecordedLayerResult {
  LayerRef ref;
  std::string layer;  ///< serialized assay.v1.Stack of one layer; "": nothing was remembered
  std::string about;  ///< what the layer says of itself (catalog::encode_about)
  bool is_final = false;
  bool is_news = false;
};

/// Who puts a root's layers together that is no overlayfs, and the layers that were found for it.
struct RecordedStack {
  RunKey key;
  OtherStack other_stack = OtherStack::kNone;
  std::vector<LowerLayer> layers;
};

/// What was claimed of a layer directory before, or that nothing was. Answers come in the order of
/// the questions.
struct RecordedClaimRecall {
  LayerRef ref;
  std::optional<LayerClaim> claim;
};

/// What a runtime's records said of a run, when the answer came.
struct RecordedClaims {
  RunKey key;
  std::string names;  ///< serialized assay.v1.ContainerNames
  std::vector<LayerClaim> layers;
  std::vector<std::string> conflicts;
};

struct RecordedCatalog {
  catalog::SignedLog log;
  std::string trust;  ///< the trust file
};

struct RecordingEnd {
  std::string reason;
  std::uint64_t dropped = 0;  ///< entries that could not be written
};

struct RecordingEntry {
  BootTime time{};
  std::variant<RecordedBytes, SweepStep, RecordedCommand, RecordedNames, RecordedLayerResult,
               RecordedStack, RecordedClaimRecall, RecordedClaims, RecordedCatalog, ObservationGap,
               RunNoise, RecordingEnd>
      body;
};

/// Serialized frames, without their length.
std::string encode(const RecordingHeader& header);
std::string encode(const RecordingEntry& entry);
/// Errors: kCorrupt. Nothing: an entry of a kind that a later version added.
Result<RecordingHeader> decode_header(std::string_view frame);
Result<std::optional<RecordingEntry>> decode_entry(std::string_view frame);

// docs/formats/recording.md
inline constexpr std::string_view kRecordingMagic = "ASSAYREC";
inline constexpr std::uint32_t kRecordingVersion = 2;
inline constexpr std::uint32_t kMaxFrameBytes = 32U << 20;
inline constexpr std::uint64_t kMaxRecordingBytes = 1ULL << 30;

}  // namespace assay::agent
