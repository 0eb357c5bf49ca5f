// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/mounted_stack.h"

#include <algorithm>

#include "agent/rootfs/layer_directory.h"
#include "agent/rootfs/layer_name.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxLayers = 500;  // OVL_MAX_STACK
constexpr std::size_t kMaxMountinfo = 64U << 20;
// The host's first process, and this one, which may share its mounts where that one is closed to
// us.
constexpr const char* kOnHost[] = {"/proc/1", "/proc/self"};

/// Names as "lowerdir=" holds them: separated by colons that no backslash stands before.
std::vector<std::string> split_names(std::string_view text) {
  std::vector<std::string> names(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':') {
      names.emplace_back();
      continue;
    }
    names.back() += text[i];
    if (text[i] == '\\' && i + 1 < text.size()) names.back() += text[++i];
  }
  for (std::string& name : names)
    name = unescape_lower_name(name);
  return names;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// The options, whose own commas are octal escapes, in their order.
template <typename Visit>
void each_option(std::string_view options, const Visit& visit) {
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(','), options.size());
    visit(options.substr(0, end));
    options.remove_prefix(std::min(end + 1, options.size()));
  }
}

/// The overlay that lies on top at `mount_point`, as the process sees it.
std::optional<MountEntry> overlay_at(const std::string& process, const std::string& mount_point) {
  const auto text = read_file(process + "/mountinfo", kMaxMountinfo);
  const std::vector<MountEntry> mounts = text ? parse_mountinfo(*text) : std::vector<MountEntry>{};
  const auto found = std::find_if(mounts.rbegin(), mounts.rend(), [&](const MountEntry& entry) {
    return entry.mount_point == mount_point;
  });
  if (found == mounts.rend() || found->type != "overlay") return std::nullopt;
  return *found;
}

bool complete_through(const std::string& process, ContainerStart& start,
                      const std::string& mount_point) {
  const auto mount = overlay_at(process, mount_point);
  const auto names = mount ? lower_names(mount->options) : std::nullopt;
  if (!names) return false;
  std::vector<LowerLayer> layers;
  for (const std::string& name : *names) {
    auto layer = describe_layer(process + "/root", name);
    if (!layer) return false;
    layers.push_back(std::move(*layer));
  }
  each_option(mount->options, [&](std::string_view option) {
    start.overlay.metacopy |= option == "metacopy=on";
    start.overlay.userxattr |= option == "userxattr";
  });
  start.is_overlay = true;
  start.layers = std::move(layers);
  return true;
}

}  // namespace

std::optional<std::vector<std::string>> lower_names(std::string_view options) {
  std::vector<std::string> names;  // top first
  bool has_data_only = false;
  each_option(options, [&](std::string_view option) {
    if (take_prefix(option, "lowerdir+=")) names.push_back(undo_octal(option));
    if (take_prefix(option, "lowerdir=")) names = split_names(undo_octal(option));
    has_data_only |= option.starts_with("datadir+=");
  });
  const bool are_usable = std::ranges::all_of(
      names, [](const std::string& name) { return is_usable_name(name, false); });  // "::" is not
  if (names.empty() || names.size() > kMaxLayers || has_data_only || !are_usable)
    return std::nullopt;
  std::ranges::reverse(names);
  return names;
}

void complete_from_mount(ContainerStart& start, const std::string& mount_point) {
  for (const std::string process : kOnHost)
    if (complete_through(process, start, mount_point)) return;
}

}  // namespace assay::agent
