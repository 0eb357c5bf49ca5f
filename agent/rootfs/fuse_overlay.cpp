// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/fuse_overlay.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "agent/rootfs/layer_directory.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxCmdline = 1U << 20;  // 500 layers of 1,000 bytes, twice
constexpr std::size_t kMaxLayers = 500;
constexpr std::size_t kMaxDescriptors = 4096;
constexpr std::size_t kMaxProcesses = 100'000;
constexpr std::size_t kMaxMountinfo = 64U << 20;
constexpr std::string_view kProgram = "fuse-overlayfs";  // 14 bytes: all of it fits into comm

struct CloseDirectory {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

/// Names in a folder of /proc that are numbers.
std::vector<std::string> numbers_in(const std::string& path, std::size_t max) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, CloseDirectory> directory(::opendir(path.c_str()));
  while (directory && names.size() < max) {
    const dirent* const entry = ::readdir(directory.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name.find_first_not_of("0123456789") == std::string_view::npos) names.emplace_back(name);
  }
  return names;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (end != 0) parts.emplace_back(text.substr(0, end));  // as strtok does
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// The options of one "-o": separated by commas that no backslash stands before.
std::vector<std::string> split_options(std::string_view text) {
  std::vector<std::string> options(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      options.emplace_back();
      continue;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    options.back() += text[i];
  }
  return options;
}

std::vector<std::string> arguments_of(std::string_view cmdline) {
  std::vector<std::string> arguments;
  while (!cmdline.empty()) {
    const std::size_t end = std::min(cmdline.find('\0'), cmdline.size());
    arguments.emplace_back(cmdline.substr(0, end));
    cmdline.remove_prefix(std::min(end + 1, cmdline.size()));
  }
  return arguments;
}

/// The number behind `label` in a text of lines such as /proc/PID/fdinfo/FD.
std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view label) {
  for (const std::string& line : split(text, '\n')) {
    if (!line.starts_with(label)) continue;
    const std::size_t start = line.find_first_not_of(" \t", label.size());
    std::uint64_t number = 0;
    if (start != std::string::npos &&
        std::from_chars(line.data() + start, line.data() + line.size(), number).ec == std::errc())
      return number;
  }
  return std::nullopt;
}

/// What the descriptors of a process say: which FUSE superblock it serves, which inodes it holds.
struct Descriptors {
  std::optional<std::uint64_t> fuse_connection;  ///< from Linux 6.10 on
  std::vector<std::uint64_t> inodes;             ///< from Linux 5.14 on
};

Descriptors descriptors_of(const std::string& pid_dir) {
  Descriptors found;
  const std::string folder = pid_dir + "/fdinfo/";
  for (const std::string& fd : numbers_in(folder, kMaxDescriptors)) {
    const auto text = read_file(folder + fd, 64U << 10);
    if (!text) continue;
    if (const auto inode = number_behind(*text, "ino:")) found.inodes.push_back(*inode);
    if (const auto connection = number_behind(*text, "fuse_connection:"))
      found.fuse_connection = connection;
  }
  return found;
}

/// By its credentials: whom /proc/PID belongs to says nothing when the process is not dumpable.
bool is_hosts_root(const std::string& pid_dir) {
  struct stat theirs = {};
  struct stat ours = {};
  const auto status = read_file(pid_dir + "/status", 64U << 10);
  return status && status->find("\nUid:\t0\t0\t0\t0\n") != std::string::npos &&
         ::stat((pid_dir + "/ns/user").c_str(), &theirs) == 0 &&
         ::stat("/proc/self/ns/user", &ours) == 0 && theirs.st_ino == ours.st_ino;
}

bool serves(const std::string& pid_dir, const Descriptors& descriptors,
            const std::string& mount_point, std::uint64_t device) {
  if (descriptors.fuse_connection)
    return *descriptors.fuse_connection == minor(device) && major(device) == 0;
  const auto text = read_file(pid_dir + "/mountinfo", kMaxMountinfo);
  if (!text) return false;
  for (const MountEntry& entry : parse_mountinfo(*text))
    if (entry.device == device && entry.mount_point == mount_point) return true;
  return false;
}

/// The layers, bottom first; empty when one of them is not what the program holds open.
std::vector<LowerLayer> layers_of(const FuseOverlayCommand& command, const std::string& pid_dir,
                                  const Descriptors& descriptors) {
  std::vector<LowerLayer> layers;
  for (const std::string& name : command.lower) {
    auto layer = describe_layer(pid_dir + "/root", name);
    if (!layer) return {};
    const auto& held = descriptors.inodes;
    if (!held.empty() && std::ranges::find(held, layer->inode) == held.end()) return {};
    layers.push_back(std::move(*layer));
  }
  std::ranges::reverse(layers);
  return layers;
}

}  // namespace

std::optional<FuseOverlayCommand> parse_fuse_overlay_command(std::string_view cmdline) {
  FuseOverlayCommand command;
  const std::vector<std::string> arguments = arguments_of(cmdline);
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    std::string_view options = arguments[i];
    if (!options.starts_with('-')) {
      command.mount_point = arguments[i];
      continue;
    }
    if (!options.starts_with("-o")) continue;
    options.remove_prefix(2);
    if (options.empty() && i + 1 < arguments.size()) options = arguments[++i];
    for (const std::string& option : split_options(options))
      if (option.starts_with("lowerdir="))
        command.lower =
            split(std::string_view(option).substr(std::string_view("lowerdir=").size()), ':');
  }
  const bool has_plugin = std::ranges::any_of(
      command.lower, [](const std::string& name) { return name.starts_with("//"); });
  if (command.lower.empty() || command.lower.size() > kMaxLayers || has_plugin ||
      command.mount_point.empty())
    return std::nullopt;
  return command;
}

void complete_from_fuse_overlay(ContainerStart& start) {
  for (const std::string& pid : numbers_in("/proc", kMaxProcesses)) {
    const std::string pid_dir = "/proc/" + pid;
    const auto name = read_file(pid_dir + "/comm", 64);
    if (!name || std::string_view(*name).substr(0, name->find('\n')) != kProgram) continue;
    if (!is_hosts_root(pid_dir)) continue;
    const auto cmdline = read_file(pid_dir + "/cmdline", kMaxCmdline);
    const auto command = cmdline ? parse_fuse_overlay_command(*cmdline) : std::nullopt;
    if (!command) continue;
    const Descriptors descriptors = descriptors_of(pid_dir);
    if (!serves(pid_dir, descriptors, command->mount_point, start.key.root.device)) continue;
    start.layers = layers_of(*command, pid_dir, descriptors);
    if (!start.layers.empty()) start.other_stack = OtherStack::kFuseOverlay;
    return;
  }
}

}  // namespace assay::agent
