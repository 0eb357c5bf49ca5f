// SPDX-License-Identifier: Apache-2.0
// What a node knows of the layers a run stands on, and how surely: the evidence ladder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/catalog/about.h"

namespace assay::catalog {

/// The rungs of the evidence ladder, weakest first (docs/architecture.md "Evidence").
enum class Rung { kNone, kContained, kClaimed, kShape, kContent, kExact };
std::string_view to_string(Rung rung);
/// Errors: kInvalidArgument.
Result<Rung> parse_rung(std::string_view text);

/// One directory on one node. Evidence belongs to it and to nothing else of the same shape.
struct LayerInstance {
  std::string file_system;  ///< "uuid:…", or "dev:MAJOR:MINOR@boot-id" where no UUID is known
  std::uint64_t inode = 0;
  std::uint32_t generation = 0;  ///< 0 never proves a match
  std::int64_t birth_ns = 0;     ///< unix time, 0 when the file system does not say
  auto operator<=>(const LayerInstance&) const = default;
};

struct LayerEvidence {
  std::optional<DiffId> claimed;         ///< by the runtime's own store: rung `claimed` only
  std::optional<ChainId> claimed_chain;  ///< by the same store: of this layer on all below it
  bool is_claim_for_display = false;     ///< someone but root may write that store
  std::optional<ShapeDigest> shape;
  std::optional<ContentDigest> content;
  std::optional<DeletionsDigest> deletions;
  std::optional<DiffId> exact;      ///< proven from a tar stream
  bool is_capped_at_shape = false;  ///< redirects, metacopy or data-only layers hide what is seen
  bool is_mutable = false;          ///< someone but root may write it: its claims do not count
  std::string gap;                  ///< why no higher rung can be reached, "" while it still may
  /// What was changed in the directory after it was first read, escaped: "PATH (WHAT), …"; never
  /// taken back. "": nothing that was seen.
  std::string tampered;
  auto operator<=>(const LayerEvidence&) const = default;
};

struct StackLayer {
  LayerInstance instance;
  LayerEvidence evidence;
  std::string name;  ///< lower directory as the kernel holds it; a hint, not part of the digest
  bool is_injected =
      false;  ///< made by the runtime (docker's -init layer): not compared with bases
  std::uint64_t entries = 0;  ///< for people, not part of the digest
  std::uint64_t content_bytes = 0;
  std::string about;  ///< encode_about() of the layer; likewise, and only on its own node
};

/// A run's layers on one node, bottom first, without the writable upper. More evidence makes
/// another stack with another digest.
struct Stack {
  std::string cluster;
  std::string node;
  std::vector<StackLayer> layers;
  std::string unsupported;  ///< why the root could not be read as layers at all, "" when it could
  About about{};  ///< as a description brought it; about_of() on the node itself. Not in the digest
  /// How many compared layers, from the bottom, the merged view of the runs on this stack was seen
  /// to show as they are, path by path; 0: not known. Lifts caps, and stands for deletions.
  std::uint32_t seen_layers = 0;
  /// The runs on this stack hide guarded paths of the base from themselves (view.h).
  bool is_masked = false;
};

/// Takes over what a runtime's store says of the layer, and nothing else.
void take_claim(LayerEvidence& to, const LayerEvidence& from);
/// Keeps what was found to be changed, unless `to` knows of more.
void take_tampering(LayerEvidence& to, const LayerEvidence& from);

/// What the layers that no runtime injected say of themselves together, by their own `about`.
About about_of(const Stack& stack);

/// SHA-256 over length-prefixed fields (docs/formats/stack.md).
StackDigest digest_of(const Stack& stack);
/// The same over what judging reads alone: not whose layers they are, nor where they lie. Stacks of
/// one evidence digest get the same verdict by their layers and call for the same findings.
EvidenceDigest evidence_digest_of(const Stack& stack);

}  // namespace assay::catalog
