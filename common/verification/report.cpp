// SPDX-License-Identifier: Apache-2.0
#include "common/verification/report.h"

#include <algorithm>

#include "common/output/table.h"

namespace assay::verification {
namespace {

using catalog::LayerOutcome;
using catalog::VerifiedLayer;
using output::Array;
using output::Object;
using output::Style;
using output::Value;

constexpr std::size_t kShortId = 12;

std::string short_name(const catalog::VerifiedContainer& container) {
  if (!container.name.empty()) return container.name;
  const std::string& id =
      container.container_id.empty() ? container.run_id : container.container_id;
  return id.substr(0, kShortId);
}

/// The containers in one cell.
std::string containers_text(const VerifiedLayer& layer) {
  std::string text;
  std::vector<std::string> named;
  for (const catalog::VerifiedContainer& container : layer.containers) {
    const std::string name = short_name(container);
    if (std::ranges::find(named, name) != named.end()) continue;
    named.push_back(name);
    if (named.size() > 3) break;
    text += (text.empty() ? "" : ", ") + name;
  }
  const std::size_t shown = std::min<std::size_t>(named.size(), 3);
  if (layer.containers_total > shown && named.size() > 3)
    text += " and " + std::to_string(layer.containers_total - shown) + " more";
  return text;
}

std::string layer_text(const VerifiedLayer& layer) {
  if (layer.diff_id) return layer.diff_id->hex().substr(0, kShortId);
  if (layer.shape) return layer.shape->hex().substr(0, kShortId);
  return layer.name;
}

/// What there is to say of its outcome, in one cell.
std::string what_text(const VerifiedLayer& layer) {
  std::string text = layer.tampered;
  for (const std::string& change : layer.changes)
    if (text.find(change) == std::string::npos) text += (text.empty() ? "" : "; ") + change;
  if (layer.reason.empty()) return text;
  return text.empty() ? layer.reason : layer.reason + ": " + text;
}

Array strings(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

Value layer_value(const VerifiedNode& node, const VerifiedLayer& layer) {
  Array containers;
  for (const catalog::VerifiedContainer& container : layer.containers)
    containers.push_back(Object{{"run_id", container.run_id},
                                {"container_id", container.container_id},
                                {"name", container.name}});
  return Object{{"cluster", node.cluster},
                {"node", node.node},
                {"container", containers_text(layer)},
                {"containers", std::move(containers)},
                {"containers_total", layer.containers_total},
                {"layer", layer_text(layer)},
                {"name", layer.name},
                {"diff_id", layer.diff_id},
                {"shape", layer.shape},
                {"content", layer.content},
                {"outcome", to_string(layer.outcome)},
                {"checked", strings(layer.checked)},
                {"changes", strings(layer.changes)},
                {"tampered", layer.tampered},
                {"reason", layer.reason},
                {"what", what_text(layer)},
                {"entries", layer.entries},
                {"files_read", layer.files_read},
                {"bytes_read", layer.bytes_read},
                {"took_ns", static_cast<std::int64_t>(layer.took.count())}};
}

Value node_value(const VerifiedNode& node) {
  return Object{{"cluster", node.cluster},
                {"node", node.node},
                {"layers_expected", node.layers_expected},
                {"layers_told", std::uint64_t{node.layers.size()}},
                {"error", node.error ? Value(to_string(node.error->code)) : Value("")},
                {"message", node.error ? Value(node.error->text()) : Value("")}};
}

void add_count(std::string& text, std::size_t count, const char* what) {
  if (count != 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + what;
}

}  // namespace

bool take(const catalog::VerifyEvent& event, VerifiedNode& node) {
  if (const auto* begun = std::get_if<catalog::VerifyBegun>(&event))
    node.layers_expected = begun->layers;
  else if (const auto* layer = std::get_if<VerifiedLayer>(&event))
    node.layers.push_back(*layer);
  const auto* done = std::get_if<catalog::VerifyDone>(&event);
  if (done == nullptr) return false;
  if (done->error)
    node.error = Error{*done->error, done->message};
  else if (node.layers.size() < node.layers_expected)
    node.error = Error{ErrorCode::kUnavailable, "not every layer was told"};
  return true;
}

Tally tally(const std::vector<VerifiedNode>& nodes) {
  Tally all;
  for (const VerifiedNode& node : nodes) {
    all.failed_nodes += node.error ? 1 : 0;
    for (const VerifiedLayer& layer : node.layers) {
      if (layer.outcome == LayerOutcome::kAsRecorded) ++all.as_recorded;
      if (layer.outcome == LayerOutcome::kChanged) ++all.changed;
      if (layer.outcome == LayerOutcome::kNoRecord) ++all.no_record;
      if (layer.outcome == LayerOutcome::kNotChecked) ++all.not_checked;
    }
  }
  return all;
}

ExitCode exit_code_of(const std::vector<VerifiedNode>& nodes) {
  const Tally all = tally(nodes);
  if (all.changed != 0) return ExitCode::kNegative;
  if (nodes.size() == 1 && nodes.front().error) return exit_code_for(*nodes.front().error);
  return all.failed_nodes + all.no_record + all.not_checked == 0 ? ExitCode::kOk
                                                                 : ExitCode::kUnavailable;
}

output::Document document_of(const std::vector<VerifiedNode>& nodes, bool has_clusters) {
  Array layers;
  Array told;
  for (const VerifiedNode& node : nodes) {
    told.push_back(node_value(node));
    for (const VerifiedLayer& layer : node.layers)
      layers.push_back(layer_value(node, layer));
  }
  output::Document document;
  document.value = Object{{"nodes", std::move(told)}, {"layers", std::move(layers)}};
  document.sections = {{.path = "layers",
                        .columns = {{"CLUSTER", "cluster", Style::kPlain, !has_clusters},
                                    {"NODE", "node"},
                                    {"CONTAINER", "container"},
                                    {"LAYER", "layer"},
                                    {"CHECKED", "checked"},
                                    {"OUTCOME", "outcome"},
                                    {"WHAT", "what"},
                                    {"FILES", "files_read", Style::kPlain, true},
                                    {"BYTES", "bytes_read", Style::kBytes, true},
                                    {"TOOK", "took_ns", Style::kDuration, true},
                                    {"DIRECTORY", "name", Style::kPlain, true},
                                    {"SHAPE", "shape", Style::kDigest, true},
                                    {"CONTENT", "content", Style::kDigest, true}}}};
  return document;
}

std::string note_of(const std::vector<VerifiedNode>& nodes) {
  const Tally all = tally(nodes);
  std::string text;
  add_count(text, all.as_recorded, "as recorded");
  add_count(text, all.changed, "changed");
  add_count(text, all.no_record, "without a record to compare with");
  add_count(text, all.not_checked, "not looked at");
  text = text.empty() ? "" : "Verified: " + text + ".";
  for (const VerifiedNode& node : nodes)
    if (node.error)
      text += (text.empty() ? "" : "\n") + (node.cluster.empty() ? "" : node.cluster + "/") +
              node.node + ": " + node.error->text();
  return text.empty() ? "Nothing that runs there stands on a layer." : text;
}

std::string progress_text(const VerifiedNode& node, const catalog::VerifyProgress& progress) {
  std::string text =
      node.node + ": layer " +
      std::to_string(std::min<std::size_t>(node.layers.size() + 1, node.layers_expected)) + " of " +
      std::to_string(node.layers_expected);
  if (progress.files != 0)
    text +=
        ", " + std::to_string(progress.files) + " files, " + output::format_bytes(progress.bytes);
  return text;
}

}  // namespace assay::verification
