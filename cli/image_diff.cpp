// SPDX-License-Identifier: Apache-2.0
#include "cli/image_diff.h"

#include <algorithm>

#include "cli/image_reading.h"
#include "cli/path_difference.h"
#include "common/image/layer_diff.h"

namespace assay::cli {
namespace {

using image::PathChange;

/// One pair of layers, or one that only one side has.
struct LayerPair {
  std::uint64_t added = 0;
  std::uint64_t removed = 0;
  std::uint64_t changed = 0;
  std::uint64_t left_out = 0;
  bool has_compared_deletions = true;
  Array paths;
};

void count(LayerPair& pair, const image::PathDifference& difference, std::uint64_t max_paths) {
  switch (difference.change) {
    case PathChange::kAdded:
      ++pair.added;
      break;
    case PathChange::kRemoved:
      ++pair.removed;
      break;
    case PathChange::kChanged:
      ++pair.changed;
      break;
  }
  if (max_paths == 0 || pair.paths.size() < max_paths)
    pair.paths.push_back(to_value(difference));
  else
    ++pair.left_out;
}

class Differ {
 public:
  Differ(const DiffOptions& options, Session& session) : options_(options), session_(session) {
    add_first_sections();
  }

  Result<Outcome> diff() {
    ASSAY_ASSIGN(const image::Image before,
                 read_shown(options_.before, options_.reading, session_));
    ASSAY_ASSIGN(const image::Image after, read_shown(options_.after, options_.reading, session_));
    const std::size_t layers = std::max(before.layers.size(), after.layers.size());
    for (std::size_t i = 0; i < layers; ++i)
      ASSAY_TRY(add_layer(i, layer_at(before, i), layer_at(after, i)));
    Outcome outcome;
    outcome.document.value = Object{{"before", source_of(options_.before, before)},
                                    {"after", source_of(options_.after, after)},
                                    {"is_equal", is_equal_},
                                    {"fingerprint_version", image::kFingerprintVersion},
                                    {"layers", std::move(layers_)}};
    outcome.document.sections = std::move(sections_);
    outcome.exit_code = is_equal_ ? ExitCode::kOk : ExitCode::kNegative;
    outcome.note = std::move(note_);
    if (left_out_ > 0)
      outcome.note += (outcome.note.empty() ? "" : "\n") + std::to_string(left_out_) +
                      " more paths differ; --max-paths 0 shows all of them.";
    return outcome;
  }

 private:
  void add_first_sections() {
    sections_ = {
        {.columns = {{"Before", "before.source"}, {"After", "after.source"}, {"Equal", "is_equal"}},
         .is_record = true},
        {.title = "Layers, bottom first",
         .path = "layers",
         .columns = {{"LAYER", "layer"},
                     {"STATE", "state"},
                     {"ADDED", "added"},
                     {"REMOVED", "removed"},
                     {"CHANGED", "changed"},
                     {"NOT SHOWN", "left_out"},
                     {"CONTENT BEFORE", "before.content", Style::kDigest},
                     {"CONTENT AFTER", "after.content", Style::kDigest},
                     {"DIFF ID BEFORE", "before.diff_id", Style::kDigest, true},
                     {"DIFF ID AFTER", "after.diff_id", Style::kDigest, true}}}};
  }

  static const image::ImageLayer* layer_at(const image::Image& image, std::size_t i) {
    return i < image.layers.size() ? &image.layers[i] : nullptr;
  }

  static Value source_of(const std::string& source, const image::Image& image) {
    return Object{{"source", source},
                  {"source_kind", image::to_string(image.kind)},
                  {"reference", image.reference},
                  {"platform", image.platform},
                  {"manifest_digest", image.manifest_digest},
                  {"config_digest", image.config_digest}};
  }

  static Value side_of(const image::ImageLayer* layer) {
    if (layer == nullptr) return {};
    const image::LayerFingerprint& print = layer->fingerprint;
    return Object{{"diff_id", layer->diff_id}, {"shape", print.shape},
                  {"content", print.content},  {"deletions", print.deletions},
                  {"entries", print.entries},  {"content_bytes", print.content_bytes}};
  }

  static bool are_equal(const image::LayerFingerprint& a, const image::LayerFingerprint& b) {
    const bool sees_deletions = a.deletions && b.deletions;
    return a.shape == b.shape && a.content == b.content &&
           (!sees_deletions || a.deletions == b.deletions);
  }

  Result<void> add_layer(std::size_t place, const image::ImageLayer* before,
                         const image::ImageLayer* after) {
    LayerPair pair;
    std::string_view state = "equal";
    if (before != nullptr && after != nullptr) {
      pair.has_compared_deletions =
          before->fingerprint.deletions.has_value() && after->fingerprint.deletions.has_value();
      if (!pair.has_compared_deletions)
        note_ = "Marks of deletion could not be seen on both sides and were not compared.";
      if (!are_equal(before->fingerprint, after->fingerprint)) {
        state = "changed";
        ASSAY_TRY(compare(place, pair));
      }
    } else {
      state = before != nullptr ? "only-before" : "only-after";
      (before != nullptr ? pair.removed : pair.added) =
          (before != nullptr ? before : after)->fingerprint.entries;
    }
    is_equal_ = is_equal_ && state == "equal";
    left_out_ += pair.left_out;
    if (!pair.paths.empty()) add_paths_section(place);
    layers_.push_back(Object{{"layer", static_cast<std::uint64_t>(place + 1)},
                             {"state", state},
                             {"before", side_of(before)},
                             {"after", side_of(after)},
                             {"deletions_compared", pair.has_compared_deletions},
                             {"added", pair.added},
                             {"removed", pair.removed},
                             {"changed", pair.changed},
                             {"left_out", pair.left_out},
                             {"paths", std::move(pair.paths)}});
    return ok();
  }

  void add_paths_section(std::size_t place) {
    sections_.push_back({.title = "Paths of layer " + std::to_string(place + 1),
                         .path = "layers." + std::to_string(place) + ".paths",
                         .columns = {{"CHANGE", "change"},
                                     {"TYPE", "type"},
                                     {"PATH", "path"},
                                     {"WHAT", "what"},
                                     {"BEFORE", "before", Style::kDigest},
                                     {"AFTER", "after", Style::kDigest}}});
  }

  Result<void> compare(std::size_t place, LayerPair& pair) {
    image::RecordKeeper keeper;
    ASSAY_TRY(observe(options_.before, place, keeper));
    const image::LayerRecords before = keeper.take();
    image::LayerDiffer differ(before, [&](const image::PathDifference& difference) {
      count(pair, difference, options_.max_paths);
    });
    ASSAY_TRY(observe(options_.after, place, differ));
    pair.has_compared_deletions = differ.has_compared_deletions();
    if (pair.added + pair.removed + pair.changed == 0)
      return Error{ErrorCode::kCorrupt, "layer " + std::to_string(place + 1) +
                                            " changed while it was compared; try again"};
    return ok();
  }

  Result<image::Image> observe(const std::string& source, std::size_t place,
                               image::LayerObserver& observer) {
    image::ImageOptions reading = options_.reading;
    reading.only_layer = place;
    reading.observer_of = [&](std::size_t layer) { return layer == place ? &observer : nullptr; };
    return read_shown(source, std::move(reading), session_);
  }

  const DiffOptions& options_;
  Session& session_;
  Array layers_;
  std::vector<Section> sections_;
  std::string note_;
  std::uint64_t left_out_ = 0;
  bool is_equal_ = true;
};

}  // namespace

Result<Outcome> diff_images(const DiffOptions& options, Session& session) {
  return Differ(options, session).diff();
}

}  // namespace assay::cli
