// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/evidence.h"

#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/catalog/names.h"

namespace assay::catalog {
namespace {

constexpr Names<Rung, 6> kRungs{{{Rung::kNone, "none"},
                                 {Rung::kContained, "contained"},
                                 {Rung::kClaimed, "claimed"},
                                 {Rung::kShape, "shape"},
                                 {Rung::kContent, "content"},
                                 {Rung::kExact, "exact"}}};

// Bumped whenever the fields below change.
constexpr std::string_view kStackDigestVersion = "4";

template <typename Tag>
void append_digest(std::string& out, const std::optional<Digest<Tag>>& digest) {
  append_field(out, digest ? digest->raw() : std::string_view());
}

void append_flag(std::string& out, bool flag) {
  append_field(out, std::string_view(flag ? "1" : "0"));
}

/// What was seen of the merged view.
void append_view(std::string& out, const Stack& stack) {
  append_field(out, std::uint64_t{stack.seen_layers});
  append_flag(out, stack.is_masked);
}

void append_instance(std::string& out, const LayerInstance& instance) {
  append_field(out, instance.file_system);
  append_field(out, instance.inode);
  append_field(out, std::uint64_t{instance.generation});
  append_field(out, std::to_string(instance.birth_ns));
}

void append_evidence(std::string& out, const StackLayer& layer) {
  append_digest(out, layer.evidence.claimed);
  append_digest(out, layer.evidence.claimed_chain);
  append_flag(out, layer.evidence.is_claim_for_display);
  append_digest(out, layer.evidence.shape);
  append_digest(out, layer.evidence.content);
  append_digest(out, layer.evidence.deletions);
  append_digest(out, layer.evidence.exact);
  append_flag(out, layer.evidence.is_capped_at_shape);
  append_flag(out, layer.evidence.is_mutable);
  append_field(out, layer.evidence.gap);
  append_field(out, layer.evidence.tampered);
  append_flag(out, layer.is_injected);
}

}  // namespace

std::string_view to_string(Rung rung) {
  return name_of(kRungs, rung);
}

Result<Rung> parse_rung(std::string_view text) {
  return value_of(kRungs, text, "rung");
}

void take_claim(LayerEvidence& to, const LayerEvidence& from) {
  to.claimed = from.claimed;
  to.claimed_chain = from.claimed_chain;
  to.is_claim_for_display = from.is_claim_for_display;
}

void take_tampering(LayerEvidence& to, const LayerEvidence& from) {
  if (to.tampered.empty()) to.tampered = from.tampered;
}

About about_of(const Stack& stack) {
  std::vector<LayerAbout> layers;
  for (const StackLayer& layer : stack.layers) {
    if (layer.is_injected || layer.about.empty()) continue;
    if (auto about = decode_about(layer.about)) layers.push_back(std::move(*about));
  }
  return merge_about(layers);
}

StackDigest digest_of(const Stack& stack) {
  std::string fields;
  append_field(fields, std::string_view("assay-stack"));
  append_field(fields, kStackDigestVersion);
  append_field(fields, stack.cluster);
  append_field(fields, stack.node);
  append_field(fields, stack.unsupported);
  append_view(fields, stack);
  append_field(fields, std::uint64_t{stack.layers.size()});
  for (const StackLayer& layer : stack.layers) {
    append_instance(fields, layer.instance);
    append_evidence(fields, layer);
  }
  return StackDigest{sha256(fields).bytes};
}

EvidenceDigest evidence_digest_of(const Stack& stack) {
  std::string fields;
  append_field(fields, std::string_view("assay-evidence"));
  append_field(fields, kStackDigestVersion);
  append_field(fields, stack.unsupported);
  append_view(fields, stack);
  append_field(fields, std::uint64_t{stack.layers.size()});
  for (const StackLayer& layer : stack.layers)
    append_evidence(fields, layer);
  return EvidenceDigest{sha256(fields).bytes};
}

}  // namespace assay::catalog
