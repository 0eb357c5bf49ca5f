// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/store_record.h"

#include <algorithm>

#include "common/base/encoding.h"
#include "common/image/oci_json.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxPlacesNamed = 8;
constexpr std::size_t kMinShortId = 12;

std::string plural(std::size_t count, const char* what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

/// The places of the kernel's stack that no layer of the record is, from 1 on.
std::vector<std::size_t> unnamed_places(const StoreRecord& record, std::size_t count) {
  std::vector<bool> is_named(count, false);
  for (const RecordedLayer& layer : record.layers)
    if (layer.place) is_named[*layer.place] = true;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < count; ++i)
    if (!is_named[i]) places.push_back(i + 1);
  return places;
}

std::string list_of(const std::vector<std::size_t>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < std::min(numbers.size(), kMaxPlacesNamed); ++i)
    text += (i == 0 ? "" : ", ") + std::to_string(numbers[i]);
  return numbers.size() > kMaxPlacesNamed ? text + " and others" : text;
}

/// "layer 2 (…/l/ABC)": the kernel's name of it helps to find it.
std::string named_layer(const KernelLayers& kernel, std::size_t place) {
  return "layer " + std::to_string(place) + " (" +
         escape_untrusted(kernel.layers()[place - 1].name, 120) + ")";
}

void add_stack_conflicts(const StoreRecord& record, const KernelLayers& kernel,
                         std::vector<std::string>& conflicts) {
  const std::size_t count = kernel.layers().size();
  const std::string start = record.store + ": ";
  if (record.layers.size() != count)
    conflicts.push_back(start + "it names " + plural(record.layers.size(), "layer") +
                        ", the container stands on " + std::to_string(count));
  const std::vector<std::size_t> unnamed = unnamed_places(record, count);
  if (unnamed.size() == 1)
    conflicts.push_back(start + named_layer(kernel, unnamed.front()) +
                        " of the container is no directory that it names");
  else if (!unnamed.empty())
    conflicts.push_back(start + "layers " + list_of(unnamed) +
                        " of the container are no directories that it names");
  if (!conflicts.empty()) return;
  for (std::size_t i = 0; i < count; ++i) {
    if (record.layers[i].place == i) continue;
    conflicts.push_back(start + "its layers are in another order: what it names as number " +
                        std::to_string(i + 1) + " is number " +
                        std::to_string(record.layers[i].place.value_or(0) + 1) +
                        " of the container");
    return;
  }
}

}  // namespace

RunClaims compare(const ClaimTask& task, const StoreRecord& record, const KernelLayers& kernel) {
  RunClaims claims{task.run_id, task.start.key, record.names, {}, record.problems};
  claims.is_anothers_record = record.is_anothers && !record.is_for_display;
  claims.names.is_users_to_write |= record.is_for_display;
  if (!record.is_complete || !kernel.are_directories()) return claims;
  std::vector<std::string> conflicts;
  add_stack_conflicts(record, kernel, conflicts);
  claims.conflicts.insert(claims.conflicts.end(), conflicts.begin(), conflicts.end());
  if (!claims.conflicts.empty()) return claims;
  // A complete record is one whose container writes where this run does.
  claims.names.is_bound_to_kernel = true;
  for (const RecordedLayer& layer : record.layers) {
    if (!layer.diff_id && !layer.chain_id) continue;
    claims.layers.push_back({ref_of(kernel.layers()[*layer.place]), layer.diff_id, layer.chain_id,
                             record.is_for_display, layer.stream});
  }
  return claims;
}

void derive_chain_ids(std::vector<RecordedLayer>& layers) {
  std::optional<ChainId> below;
  for (RecordedLayer& layer : layers) {
    if (!layer.diff_id) return;
    layer.chain_id = below = image::chain_id_of(below, *layer.diff_id);
  }
}

std::vector<RecordedLayer> merged(const std::vector<RecordedLayer>& layers) {
  RecordedLayer root;
  if (!layers.empty()) root.chain_id = layers.back().chain_id;
  if (layers.size() == 1) root.diff_id = layers.front().diff_id;
  root.place = 0;
  return {root};
}

void compare_diff_ids(const std::vector<DiffId>& configured,
                      const std::vector<RecordedLayer>& layers, std::string_view subject,
                      StoreRecord& record) {
  const std::string start = std::string(subject) + ": ";
  if (configured.size() != layers.size()) {
    record.problems.push_back(start + "the image's configuration lists " +
                              plural(configured.size(), "diff ID") + ", the store keeps " +
                              plural(layers.size(), "layer"));
    return;
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].diff_id || *layers[i].diff_id == configured[i]) continue;
    record.problems.push_back(start + "the image's configuration says that layer " +
                              std::to_string(i + 1) + " is " + configured[i].text() +
                              ", the store says " + layers[i].diff_id->text());
    return;
  }
}

std::string name_of_image(std::string text, std::string_view image_id) {
  std::string_view digits = text;
  if (digits.starts_with("sha256:")) digits.remove_prefix(7);
  if (image_id.starts_with("sha256:")) image_id.remove_prefix(7);
  const bool is_hex = digits.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  const bool is_id = digits.size() == 64 ||
                     (digits.size() >= kMinShortId && image_id.starts_with(digits)) ||
                     digits.size() != text.size();
  return is_hex && is_id ? std::string() : std::move(text);
}

}  // namespace assay::agent
