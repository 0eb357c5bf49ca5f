// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/aufs_branches.h"

#include <algorithm>

#include "agent/rootfs/layer_directory.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxBranches = 500;  // docker makes at most 128
constexpr std::size_t kMaxBranchText = 8192;
constexpr std::size_t kMaxMountinfo = 64U << 20;

/// "PATH=PERMISSIONS\n" without permissions; "" when it is not of that form.
std::string branch_path(std::string_view text) {
  const std::size_t end = text.rfind('=');
  return end == std::string_view::npos ? "" : undo_octal(text.substr(0, end));
}

}  // namespace

std::string aufs_id_of(std::string_view options) {
  constexpr std::string_view kKey = "si=";
  while (!options.empty()) {
    const std::size_t end = std::min(options.find(','), options.size());
    const std::string_view option = options.substr(0, end);
    options.remove_prefix(std::min(end + 1, options.size()));
    if (!option.starts_with(kKey)) continue;
    const std::string_view id = option.substr(kKey.size());
    const bool is_hex = id.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    return is_hex && id.size() <= 16 ? std::string(id) : "";
  }
  return "";
}

Result<std::vector<LowerLayer>> read_aufs_branches(const std::string& folder) {
  std::vector<LowerLayer> layers;
  for (std::size_t i = 1; i <= kMaxBranches; ++i) {  // branch 0 is the upper
    auto branch = read_file(folder + "/br" + std::to_string(i), kMaxBranchText);
    if (!branch && branch.error().code == ErrorCode::kNotFound && i > 1) {
      std::ranges::reverse(layers);
      return layers;
    }
    if (!branch) return std::move(branch.error());
    const std::string path = branch_path(*branch);
    if (path.empty()) return Error{ErrorCode::kCorrupt, folder + ": not a branch"};
    ASSAY_ASSIGN(LowerLayer layer, describe_layer("/", path));
    layers.push_back(std::move(layer));
  }
  return Error{ErrorCode::kCorrupt, folder + ": too many branches"};
}

void complete_from_aufs(ContainerStart& start) {
  const std::string mounts = "/proc/" + std::to_string(start.process.key.tgid) + "/mountinfo";
  const auto text = read_file(mounts, kMaxMountinfo);
  std::string id;
  for (const MountEntry& entry : text ? parse_mountinfo(*text) : std::vector<MountEntry>())
    if (entry.device == start.key.root.device) id = aufs_id_of(entry.options);
  if (id.empty()) return;
  auto layers = read_aufs_branches("/sys/fs/aufs/si_" + id);
  if (!layers) return;
  start.layers = std::move(*layers);
  start.other_stack = OtherStack::kAufs;
}

}  // namespace assay::agent
