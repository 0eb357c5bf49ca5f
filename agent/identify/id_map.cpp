// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/id_map.h"

#include <algorithm>
#include <sstream>

#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxMapBytes = 64U << 10;  // 340 lines (Linux 4.15)
constexpr std::uint64_t kAllIds = 0xFFFFFFFF;

Result<std::vector<image::IdRange>> read_map(std::uint32_t pid, const char* file) {
  auto text = read_file("/proc/" + std::to_string(pid) + "/" + file, kMaxMapBytes);
  if (!text) return Error{ErrorCode::kNotFound, "the process ended before its id map was read"};
  ASSAY_ASSIGN(auto ranges, parse_id_map(*text));
  if (ranges.empty()) return Error{ErrorCode::kNotFound, "the user namespace has no id map yet"};
  return ranges;
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

Result<IdMap> id_map_of(const LayerTask& task) {
  if (task.start.in_host_user_namespace || task.layer.is_id_mapped) return IdMap{};
  IdMap map;
  ASSAY_ASSIGN(map.uids, read_map(task.start.process.key.tgid, "uid_map"));
  ASSAY_ASSIGN(map.gids, read_map(task.start.process.key.tgid, "gid_map"));
  if (is_identity(map.uids) && is_identity(map.gids)) return IdMap{};
  map.text = "u:" + canonical(map.uids) + ";g:" + canonical(map.gids);
  return map;
}

}  // namespace assay::agent
