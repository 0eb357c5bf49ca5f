// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/mount_table.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <charconv>

#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxMountinfoBytes = 64U << 20;  // 100,000 mounts of 500 bytes

std::string_view take_field(std::string_view& line) {
  const std::size_t end = line.find(' ');
  const std::string_view field = line.substr(0, end);
  line.remove_prefix(end == std::string_view::npos ? line.size() : end + 1);
  return field;
}

template <typename Number>
bool parse_number(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<std::uint64_t> parse_device(std::string_view text) {
  const std::size_t colon = text.find(':');
  unsigned int major_number = 0;
  unsigned int minor_number = 0;
  if (colon == std::string_view::npos || !parse_number(text.substr(0, colon), major_number) ||
      !parse_number(text.substr(colon + 1), minor_number))
    return std::nullopt;
  return makedev(major_number, minor_number);
}

std::optional<MountEntry> parse_line(std::string_view line) {
  MountEntry entry;
  if (!parse_number(take_field(line), entry.mount_id)) return std::nullopt;
  take_field(line);  // parent
  const auto device = parse_device(take_field(line));
  entry.root = undo_octal(take_field(line));
  if (!device) return std::nullopt;
  entry.device = *device;
  entry.mount_point = undo_octal(take_field(line));
  if (entry.mount_point.empty() || entry.mount_point.front() != '/') return std::nullopt;
  constexpr std::string_view kSeparator = " - ";  // behind fields of which there are any number
  const std::size_t separator = line.find(kSeparator);
  if (separator != std::string_view::npos) {
    std::string_view rest = line.substr(separator + kSeparator.size());
    entry.type = undo_octal(take_field(rest));
  }
  entry.options = line.substr(line.rfind(' ') + 1);  // the last field; 0 when there is one only
  return entry;
}

Result<std::uint64_t> mount_id_of(int fd) {
  ASSAY_ASSIGN(const std::string info,
               read_file("/proc/self/fdinfo/" + std::to_string(fd), 64U << 10));
  const std::string_view label = "mnt_id:";
  const std::size_t start = info.find(label);
  if (start == std::string::npos) return Error{ErrorCode::kNotFound, "fdinfo has no mnt_id"};
  std::string_view rest = std::string_view(info).substr(start + label.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  std::uint64_t mount_id = 0;
  if (!parse_number(rest.substr(0, rest.find('\n')), mount_id))
    return Error{ErrorCode::kCorrupt, "fdinfo: mnt_id is no number"};
  return mount_id;
}

}  // namespace

std::string undo_octal(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned int code = 0;
    const bool is_escape = text[i] == '\\' && text.size() - i >= 4 &&
                           std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr ==
                               text.data() + i + 4;
    if (is_escape) i += 3;
    plain += is_escape ? static_cast<char>(code) : text[i];
  }
  return plain;
}

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (auto entry = parse_line(text.substr(0, end))) entries.push_back(std::move(*entry));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return entries;
}

Result<std::uint64_t> superblock_device_of(int fd, const std::string& pid_dir) {
  ASSAY_ASSIGN(const std::uint64_t mount_id, mount_id_of(fd));
  ASSAY_ASSIGN(const std::string text, read_file(pid_dir + "/mountinfo", kMaxMountinfoBytes));
  for (const MountEntry& entry : parse_mountinfo(text))
    if (entry.mount_id == mount_id) return entry.device;
  return Error{ErrorCode::kNotFound, "the mount is not in " + pid_dir + "/mountinfo"};
}

Result<std::shared_ptr<const UniqueFd>> MountFds::find(std::uint64_t device) {
  {
    const MutexLock lock(mutex_);
    if (const auto kept = kept_.find(device); kept != kept_.end()) {
      kept->second.used = std::chrono::steady_clock::now();
      return kept->second.fd;
    }
  }
  ASSAY_ASSIGN(const std::string text, read_file("/proc/self/mountinfo", kMaxMountinfoBytes));
  for (const MountEntry& entry : parse_mountinfo(text)) {
    if (entry.device != device) continue;
    // A mount of a single file, or one that another mount covers, is passed over. O_PATH would not
    // do: open_by_handle_at(2) refuses such descriptors.
    UniqueFd fd(::open(entry.mount_point.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) continue;
    const auto found = superblock_device_of(fd.get(), "/proc/self");
    if (!found || *found != device) continue;
    const MutexLock lock(mutex_);
    Kept& kept = kept_[device];
    kept.fd = std::make_shared<const UniqueFd>(std::move(fd));
    kept.used = std::chrono::steady_clock::now();
    return kept.fd;
  }
  return Error{ErrorCode::kUnavailable, "no mount of device " + std::to_string(major(device)) +
                                            ":" + std::to_string(minor(device)) +
                                            " is visible here"};
}

void MountFds::drop(std::uint64_t device) {
  const MutexLock lock(mutex_);
  kept_.erase(device);
}

void MountFds::close_idle() {
  const MutexLock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(kept_, [&](const auto& entry) { return now - entry.second.used > idle_; });
}

}  // namespace assay::agent
