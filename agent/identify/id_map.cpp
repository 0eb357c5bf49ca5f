// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/id_map.h"

#include <algorithm>
#include <optional>
#include <sstream>

#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxMapBytes = 64U << 10;  // 340 lines (Linux 4.15)
constexpr std::uint64_t kAllIds = 0xFFFFFFFF;

std::optional<std::vector<image::IdRange>> read_map(std::uint32_t pid, const char* file) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/" + file, kMaxMapBytes);
  if (!text) return std::nullopt;
  auto ranges = parse_id_map(*text);
  if (!ranges || ranges->empty()) return std::nullopt;  // empty: not written yet
  return std::move(*ranges);
}

bool is_identity(const std::vector<image::IdRange>& ranges) {
  return ranges.size() == 1 && ranges[0].on_disk == 0 && ranges[0].in_image == 0 &&
         ranges[0].count >= kAllIds;
}

std::string canonical(const std::vector<image::IdRange>& ranges) {
  std::string text;
  for (const image::IdRange& range : ranges) {
    if (!text.empty()) text += ',';
    text += std::to_string(range.in_image) + ":" + std::to_string(range.on_disk) + ":" +
            std::to_string(range.count);
  }
  return text;
}

std::optional<IdMap> map_of_process(std::uint32_t pid) {
  auto uids = read_map(pid, "uid_map");
  auto gids = read_map(pid, "gid_map");
  if (!uids || !gids) return std::nullopt;
  if (is_identity(*uids) && is_identity(*gids)) return IdMap{};
  std::string text = "u:" + canonical(*uids) + ";g:" + canonical(*gids);
  return IdMap{std::move(*uids), std::move(*gids), std::move(text)};
}

}  // namespace

Result<std::vector<image::IdRange>> parse_id_map(std::string_view text) {
  std::vector<image::IdRange> ranges;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    image::IdRange range;
    if (!(fields >> range.in_image >> range.on_disk >> range.count) || range.count == 0)
      return Error{ErrorCode::kCorrupt, "not a line of an id map: " + line.substr(0, 80)};
    ranges.push_back(range);
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const auto& a, const auto& b) { return a.in_image < b.in_image; });
  return ranges;
}

IdMaps id_maps_of(const LayerTask& task) {
  if (task.start.in_host_user_namespace || task.layer.is_id_mapped) return {{IdMap{}}, true};
  std::vector<std::uint32_t> pids = {task.start.process.key.tgid};  // from the inside out
  for (const ProcessInfo& ancestor : task.start.ancestors)
    pids.push_back(ancestor.key.tgid);
  IdMaps found;
  for (const std::uint32_t pid : pids) {
    auto map = pid == 0 ? std::nullopt : map_of_process(pid);
    if (!map) continue;
    found.has_own = found.has_own || pid == pids.front();
    if (map->text.empty()) break;  // the host's, as are all above it
    if (std::ranges::find(found.maps, map->text, &IdMap::text) == found.maps.end())
      found.maps.push_back(std::move(*map));
  }
  found.maps.emplace_back();
  return found;
}

Result<IdMap> choose_id_map(IdMaps found, std::uint32_t owner) {
  for (IdMap& map : found.maps)
    if (image::id_in_image(map.uids, owner) == 0U) return std::move(map);
  if (found.has_own) return std::move(found.maps.front());
  return Error{ErrorCode::kNotFound, "the process ended before its id map was read"};
}

}  // namespace assay::agent
