// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/view.h"

#include <algorithm>
#include <array>

#include "common/base/escape_once.h"
#include "common/catalog/catalog.h"
#include "common/catalog/match.h"
#include "common/catalog/names.h"

namespace assay::catalog {
namespace {

constexpr Names<ViewState, 3> kStates{{{ViewState::kUnchecked, "unchecked"},
                                       {ViewState::kAgrees, "agrees"},
                                       {ViewState::kDiffers, "differs"}}};
constexpr std::size_t kMaxReasonPaths = 8;
constexpr std::size_t kMaxReasonBytes = 1024;

/// "usr/lib/x" → "usr".
std::string_view first_part(std::string_view path) {
  return path.substr(0, path.find('/'));
}

bool is_library_folder(std::string_view name) {
  return name.starts_with("lib");
}

bool is_at_or_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

/// The naming match of the longest base, whatever its status: what its layers are, not what they
/// are worth.
const StackMatch* longest(const std::vector<StackMatch>& found) {
  const auto best =
      std::max_element(found.begin(), found.end(), [](const StackMatch& a, const StackMatch& b) {
        return std::pair(a.depth, a.rung) < std::pair(b.depth, b.rung);
      });
  return best == found.end() ? nullptr : &*best;
}

}  // namespace

std::string_view to_string(ViewState state) {
  return name_of(kStates, state);
}

Result<ViewState> parse_view_state(std::string_view text) {
  return value_of(kStates, text, "view");
}

ViewPlan plan_view(const Stack& stack, const Catalog& catalog) {
  ViewPlan plan;
  const auto layers = compared_layers(stack);
  const Matches matches = matches_at(layers, 0, catalog, stack.seen_layers);
  const StackMatch* match = longest(matches.found);
  if (match == nullptr) return plan;
  const auto end = layers.begin() + static_cast<std::ptrdiff_t>(match->layers);
  const bool is_known = std::all_of(layers.begin(), end, [](const StackLayer* layer) {
    return layer->evidence.content.has_value();
  });
  if (!is_known) return plan;
  plan.layers = match->layers;
  plan.deletions_agree = match->deletions_agree;
  plan.is_lift_wanted =
      std::any_of(layers.begin(), end,
                  [](const StackLayer* layer) { return layer->evidence.is_capped_at_shape; }) ||
      std::find(plan.deletions_agree.begin(), plan.deletions_agree.end(), false) !=
          plan.deletions_agree.end();
  return plan;
}

bool is_guarded_path(std::string_view path) {
  if (path.starts_with("etc/ld.so")) return true;
  const std::string_view top = first_part(path);
  return top == "usr" || top == "bin" || top == "sbin" || is_library_folder(top);
}

bool is_runtime_path(std::string_view path) {
  static constexpr std::array kFiles = {
      std::string_view("etc/hosts"), std::string_view("etc/hostname"),
      std::string_view("etc/resolv.conf"), std::string_view("etc/mtab"),
      std::string_view(".dockerenv")};
  if (std::find(kFiles.begin(), kFiles.end(), path) != kFiles.end()) return true;
  static constexpr std::array kTrees = {std::string_view("proc"), std::string_view("dev"),
                                        std::string_view("sys"), std::string_view("run")};
  return std::any_of(kTrees.begin(), kTrees.end(),
                     [&](std::string_view tree) { return is_at_or_below(path, tree); });
}

bool is_guarded_folder(std::string_view path) {
  static constexpr std::array kFolders = {std::string_view(""),
                                          std::string_view("etc"),
                                          std::string_view("etc/ld.so.conf.d"),
                                          std::string_view("bin"),
                                          std::string_view("sbin"),
                                          std::string_view("usr"),
                                          std::string_view("usr/bin"),
                                          std::string_view("usr/sbin")};
  if (std::find(kFolders.begin(), kFolders.end(), path) != kFolders.end()) return true;
  if (path.starts_with("usr/")) path.remove_prefix(4);
  if (!is_library_folder(path)) return false;
  // "lib", "lib64", and the folders of one machine's libraries: "lib/x86_64-linux-gnu".
  const std::size_t slash = path.find('/');
  if (slash == std::string_view::npos) return path.size() <= std::string_view("libx32").size();
  const std::string_view below = path.substr(slash + 1);
  return below.find('/') == std::string_view::npos &&
         below.find("-linux-") != std::string_view::npos;
}

std::string masked_reason(const View& view) {
  if (view.state != ViewState::kDiffers) return "";
  std::string text = std::to_string(view.masked) + (view.masked == 1 ? " path" : " paths") +
                     " of the base are not what the container sees: ";
  const std::size_t named = std::min(view.masked_paths.size(), kMaxReasonPaths);
  for (std::size_t i = 0; i < named; ++i)
    text += (i == 0 ? "" : "; ") + view.masked_paths[i];
  if (view.masked > named) text += "; and " + std::to_string(view.masked - named) + " more";
  return escape_once(text, kMaxReasonBytes);
}

}  // namespace assay::catalog
