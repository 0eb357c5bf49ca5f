// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/about.h"

#include <algorithm>
#include <set>
#include <utility>

#include "common/base/encoding.h"
#include "common/catalog/about_paths.h"

namespace assay::catalog {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel: path_resolution(7)

using View = std::map<std::string, AboutNode>;

template <typename Map>
void erase_below(Map& map, const std::string& directory) {
  if (directory.empty()) return map.clear();
  map.erase(map.lower_bound(directory + "/"), map.lower_bound(directory + "0"));  // '0' follows '/'
}

void lay_over(View& view, const LayerAbout& layer) {
  for (const std::string& path : layer.opaques)
    erase_below(view, path);
  for (const std::string& path : layer.whiteouts) {
    view.erase(path);
    erase_below(view, path);
  }
  for (const auto& [path, node] : layer.nodes) {
    if (node.kind != AboutNode::Kind::kDirectory) erase_below(view, path);
    view.insert_or_assign(path, node);
  }
}

/// Where a path leads: the path itself when something is there, and what was followed last.
struct Place {
  std::string path;
  const AboutNode* node = nullptr;
};

class Resolver {
 public:
  explicit Resolver(const View& view) : view_(view) {}

  /// Follows every link on the way. A part that nothing is known of is taken for a directory.
  Place resolve(std::string_view path) const {
    std::vector<std::string> left = split(path);
    std::string at;
    int links = 0;
    while (!left.empty()) {
      const std::string part = std::move(left.back());
      left.pop_back();
      if (part == "..") {
        at.resize(at.rfind('/') == std::string::npos ? 0 : at.rfind('/'));
        continue;
      }
      std::string next = at;
      if (!next.empty()) next += '/';
      next += part;
      const auto found = view_.find(next);
      const bool is_link = found != view_.end() && found->second.kind == AboutNode::Kind::kLink;
      if (!is_link) {
        at = std::move(next);
        continue;
      }
      if (++links > kMaxLinks) return {std::string(path), nullptr};
      if (found->second.target.starts_with('/')) at.clear();
      std::vector<std::string> parts = split(found->second.target);
      left.insert(left.end(), std::make_move_iterator(parts.begin()),
                  std::make_move_iterator(parts.end()));
    }
    const auto found = view_.find(at);
    return {at, found == view_.end() ? nullptr : &found->second};
  }

 private:
  /// Last part first.
  static std::vector<std::string> split(std::string_view path) {
    std::vector<std::string> parts;
    for (std::size_t start = 0; start <= path.size();) {
      const std::size_t end = std::min(path.find('/', start), path.size());
      const std::string_view part = path.substr(start, end - start);
      if (!part.empty() && part != ".") parts.emplace_back(part);
      start = end + 1;
    }
    std::ranges::reverse(parts);
    return parts;
  }

  const View& view_;
};

class Merger {
 public:
  explicit Merger(const View& view) : view_(view), resolver_(view) {}

  About merge() {
    find_distribution();
    add({"dpkg", "status", std::string(kDpkgStatusPath)});
    add_status_d();
    for (const std::string_view path : kApkInstalledPaths)
      add({"apk", "installed", std::string(path)});
    for (const std::string_view folder : kRpmFolders)
      for (const std::string_view file : {kRpmSqliteFile, kRpmNdbFile, kRpmBdbFile})
        if (add({"rpm", {}, std::string(folder) + "/" + std::string(file)})) break;
    // The database of a tool that manages nothing here says nothing of the image.
    std::erase_if(about_.databases,
                  [](const PackageDatabase& one) { return one.packages == 0 && one.gap.empty(); });
    return std::move(about_);
  }

 private:
  struct Wanted {
    std::string_view manager;
    std::string_view format;
    std::string path;
  };

  void find_distribution() {
    for (const std::string_view path : kOsReleasePaths) {
      const bool is_named = view_.contains(std::string(path));
      const Place place = resolver_.resolve(path);
      const AboutNode* node = place.node;
      if (node != nullptr && node->distribution) {
        about_.distribution = node->distribution;
        about_.gap.clear();
        return;
      }
      if (!is_named || !about_.gap.empty()) continue;
      about_.gap = std::string(path) + ": ";
      if (node != nullptr && !node->gap.empty())
        about_.gap += node->gap;
      else
        about_.gap += "it leads to " + escape_untrusted(place.path, 256) + ", which is not read";
    }
  }

  /// False when there is no such database.
  bool add(const Wanted& wanted) {
    const Place place = resolver_.resolve(wanted.path);
    if (place.node == nullptr || place.node->kind != AboutNode::Kind::kFile) return false;
    if (!taken_.insert(place.path).second) return true;  // two names of one file
    PackageDatabase database = place.node->database.value_or(PackageDatabase{});
    if (database.manager.empty()) {
      database.manager = wanted.manager;
      database.format = wanted.format;
      database.gap = place.node->gap.empty() ? "not read" : place.node->gap;
    }
    database.path = place.path;
    add_log_of(database, place.path);
    about_.databases.push_back(std::move(database));
    return true;
  }

  /// What an SQLite database's write-ahead log holds is not in the database yet.
  void add_log_of(PackageDatabase& database, const std::string& path) {
    const auto log = view_.find(path + "-wal");
    if (log != view_.end() && !log->second.gap.empty() && database.gap.empty())
      database.gap = log->second.gap;
  }

  /// distroless: one file a package.
  void add_status_d() {
    const std::string folder = resolver_.resolve(kDpkgStatusFolder).path + "/";
    PackageDatabase all{"dpkg", "status.d", folder.substr(0, folder.size() - 1), 0, "", {}};
    for (auto at = view_.lower_bound(folder); at != view_.end() && at->first.starts_with(folder);
         ++at) {
      const AboutNode& node = at->second;
      if (node.kind != AboutNode::Kind::kFile) continue;
      if (!node.database) {
        all.gap = at->first + ": " + (node.gap.empty() ? "not read" : node.gap);
        continue;
      }
      all.packages += node.database->packages;
      all.list.insert(all.list.end(), node.database->list.begin(), node.database->list.end());
      if (!node.gap.empty()) all.gap = node.gap;
      if (!node.database->gap.empty()) all.gap = node.database->gap;
    }
    about_.databases.push_back(std::move(all));
  }

  const View& view_;
  Resolver resolver_;
  About about_;
  std::set<std::string> taken_;
};

}  // namespace

About merge_about(std::span<const LayerAbout> layers) {
  View view;
  for (const LayerAbout& layer : layers)
    lay_over(view, layer);
  return Merger(view).merge();
}

}  // namespace assay::catalog
