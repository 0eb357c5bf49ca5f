// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containerd/mount_options.h"

#include <algorithm>
#include <string_view>

#include "agent/runtime/store_record.h"

namespace assay::agent {
namespace {

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// "top:…:bottom" with overlayfs's escapes.
std::vector<std::string> split_lowers(std::string_view text) {
  std::vector<std::string> folders(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ':') {
      folders.emplace_back();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    folders.back() += text[i];
  }
  return folders;
}

bool is_plain(const std::string& path) {
  return path.starts_with('/') && path.find("{{") == std::string::npos &&
         path.find('\0') == std::string::npos;
}

}  // namespace

std::optional<OverlayFolders> overlay_folders(const ContainerdMount& mount) {
  if (mount.type != "overlay") return std::nullopt;
  OverlayFolders folders;
  for (const std::string& option : mount.options) {
    std::string_view rest = option;
    if (take_prefix(rest, "upperdir=")) {
      folders.upper = rest;
    } else if (take_prefix(rest, "lowerdir=")) {
      for (std::string& folder : split_lowers(rest))
        folders.lowers.push_back(std::move(folder));
    } else if (take_prefix(rest, "lowerdir+=")) {
      folders.lowers.emplace_back(rest);
    } else if (take_prefix(rest, "datadir+=")) {
      return std::nullopt;
    }
    if (folders.lowers.size() > kMaxLayers) return std::nullopt;
  }
  std::reverse(folders.lowers.begin(), folders.lowers.end());
  // "::" before data-only layers makes an empty folder, which is not plain either.
  if (!is_plain(folders.upper) || folders.lowers.empty() ||
      !std::all_of(folders.lowers.begin(), folders.lowers.end(), is_plain))
    return std::nullopt;
  return folders;
}

}  // namespace assay::agent
