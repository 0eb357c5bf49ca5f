// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/reason.h"

#include <algorithm>

#include "common/base/encoding.h"
#include "common/base/escape_once.h"
#include "common/catalog/catalog.h"

namespace assay::catalog {
namespace {

constexpr std::size_t kMaxTamperedBytes = 1024;

std::string name_of_base(const Base& base) {
  return escape_untrusted(base.id.text(), 300);
}

std::string rung_text(Rung rung) {
  return "(recognised by " + std::string(to_string(rung)) + ")";
}

std::string date_text(WallTime date) {
  return to_rfc3339(date, 0);
}

std::string expired_text(const Base& base) {
  const bool is_deprecated = base.status == BaseStatus::kDeprecated && base.deprecated_until;
  const auto date = base.expires_at && (!is_deprecated || *base.expires_at < *base.deprecated_until)
                        ? base.expires_at
                        : base.deprecated_until;
  return date ? "expired on " + date_text(*date) : "expired";
}

std::string standing_text(const Base& base, VerdictStatus status) {
  if (status == VerdictStatus::kExpired) return expired_text(base);
  std::string text = "is " + std::string(to_string(status));
  if (status == VerdictStatus::kDeprecated && base.deprecated_until)
    text += " until " + date_text(*base.deprecated_until);
  return text;
}

std::string layers_text(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " layer" : " layers");
}

}  // namespace

std::string base_reason(const Base& base, const Standing& standing, Rung rung) {
  const bool is_by_rule = !standing.why.empty();
  std::string text = "base " + name_of_base(base) + " " +
                     (is_by_rule ? "is expired" : standing_text(base, standing.status)) + " " +
                     rung_text(rung);
  if (standing.status == VerdictStatus::kApproved) return text;
  if (is_by_rule) text += ": " + standing.why;  // why it was approved is no reason for this
  if (!is_by_rule && !base.reason.empty()) text += ": " + escape_untrusted(base.reason, 200);
  if (!base.successor.empty()) text += "; use " + escape_untrusted(base.successor, 300);
  return text;
}

std::string below_rung_reason(const StackMatch& match, VerdictStatus status, Rung required,
                              const std::vector<const StackLayer*>& layers) {
  const std::string standing =
      status == VerdictStatus::kApproved ? "" : " (" + std::string(to_string(status)) + ")";
  std::string text = "looks like base " + name_of_base(*match.base) + standing + " by " +
                     std::string(to_string(match.rung)) + ", " + std::string(to_string(required)) +
                     " is required";
  if (match.has_other_deletions)
    return text +
           ": it is not known that its layers delete what the base's do, and the merged view "
           "has not shown it";
  for (std::size_t i = 0; i < match.layers; ++i) {
    const LayerEvidence& evidence = layers[match.first_layer + i]->evidence;
    if (!evidence.gap.empty() && (!evidence.content || required == Rung::kExact))
      return text + ": layer " + std::to_string(i + 1) + ": " + escape_once(evidence.gap, 200);
    if (evidence.is_capped_at_shape && !evidence.gap.empty())
      return text + ": layer " + std::to_string(i + 1) + ": " + escape_once(evidence.gap, 200);
    if (evidence.is_capped_at_shape)
      return text + ": layer " + std::to_string(i + 1) +
             " holds redirects that hide its bytes, and the merged view has not shown them";
  }
  return text + " and not there yet";
}

std::string awaited_reason(std::size_t awaited, std::size_t layers) {
  return "no fingerprint yet of " + std::to_string(awaited) + " of " + layers_text(layers);
}

bool is_unreadable(const std::vector<const StackLayer*>& layers, const Stack& stack) {
  return !stack.unsupported.empty() ||
         std::none_of(layers.begin(), layers.end(), [](const StackLayer* layer) {
           return layer->evidence.shape || layer->evidence.content || layer->evidence.gap.empty();
         });
}

std::string unreadable_reason(const std::vector<const StackLayer*>& layers, const Stack& stack) {
  if (!stack.unsupported.empty())
    return "the root cannot be read as layers: " + escape_once(stack.unsupported, 200);
  if (layers.empty()) return "the root has no layer to compare";
  return "no layer could be read: " + escape_once(layers.front()->evidence.gap, 200);
}

std::string unknown_reason(const std::vector<const StackLayer*>& layers, const Stack& stack,
                           const Catalog& catalog) {
  if (is_unreadable(layers, stack)) return unreadable_reason(layers, stack);
  for (const StackLayer* layer : layers)
    if (!layer->evidence.gap.empty() && !layer->evidence.shape)
      return "no base matches, and a layer could not be read: " +
             escape_once(layer->evidence.gap, 200);
  if (catalog.bases().empty()) return "the catalog holds no base yet";
  return "no base of the catalog is at the bottom of this stack (" + layers_text(layers.size()) +
         ")";
}

std::string_view contradiction_subject(std::string_view text) {
  return text.substr(0, text.find(": "));
}

std::string tampered_reason(const StackLayer& layer, std::size_t number) {
  return "layer " + std::to_string(number) + " was changed on its node after it was first read: " +
         escape_once(layer.evidence.tampered, kMaxTamperedBytes);
}

std::string contradiction_text(const Contradiction& contradiction) {
  const char* what =
      contradiction.is_by_claim
          ? ": its runtime's store says that it is the same, but its bytes are others"
          : ": it looks the same, but its bytes are others";
  return "layer " + std::to_string(contradiction.layer + 1) + " against " +
         name_of_base(*contradiction.base) + what;
}

}  // namespace assay::catalog
