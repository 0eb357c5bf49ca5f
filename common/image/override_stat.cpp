// SPDX-License-Identifier: Apache-2.0
#include "common/image/override_stat.h"

#include <charconv>
#include <utility>

#include "common/base/encoding.h"

namespace assay::image {
namespace {

constexpr std::size_t kMaxBytes = 128;
constexpr std::uint32_t kMaxMode = 0177777;  // fuse-overlayfs writes st_mode, type bits included
constexpr std::pair<std::string_view, EntryType> kTypes[] = {
    {"file", EntryType::kFile},         {"dir", EntryType::kDirectory},
    {"pipe", EntryType::kFifo},         {"char", EntryType::kCharDevice},
    {"block", EntryType::kBlockDevice}, {"socket", EntryType::kSocket}};

std::string_view take_until(std::string_view& rest, char separator) {
  const std::size_t end = rest.find(separator);
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return part;
}

template <typename Number>
bool take_number(std::string_view& rest, char separator, int base, Number& number) {
  const std::string_view digits = take_until(rest, separator);
  const char* const end = digits.data() + digits.size();
  const auto parsed = std::from_chars(digits.data(), end, number, base);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

bool take_type(std::string_view rest, OverrideStat& stat) {
  const std::string_view word = take_until(rest, '-');
  for (const auto& [name, type] : kTypes) {
    if (name != word) continue;
    stat.type = type;
    if (type != EntryType::kCharDevice && type != EntryType::kBlockDevice) return rest.empty();
    return take_number(rest, '-', 10, stat.device_major) &&
           take_number(rest, '-', 10, stat.device_minor);  // what follows is for later versions
  }
  return false;  // "symlink" too: Linux keeps those as they are
}

}  // namespace

std::string_view to_string(OverrideName name) {
  switch (name) {
    case OverrideName::kPrivileged:
      return "security.fuseoverlayfs.override_stat";
    case OverrideName::kContainers:
      return "user.containers.override_stat";
    case OverrideName::kUser:
      return "user.fuseoverlayfs.override_stat";
    case OverrideName::kNone:
      break;
  }
  return "";
}

Result<OverrideStat> parse_override_stat(std::string_view text) {
  OverrideStat stat;
  std::string_view rest = text.substr(0, kMaxBytes);
  const bool has_ids = text.size() <= kMaxBytes && take_number(rest, ':', 10, stat.uid) &&
                       take_number(rest, ':', 10, stat.gid);
  const bool has_type = rest.find(':') != std::string_view::npos;
  if (!has_ids || !take_number(rest, ':', 8, stat.mode) || stat.mode > kMaxMode ||
      (has_type && !take_type(rest, stat)))
    return Error{ErrorCode::kCorrupt,
                 "not an override attribute: \"" + escape_untrusted(text, kMaxBytes) + "\""};
  stat.mode &= 07777;
  return stat;
}

}  // namespace assay::image
