// SPDX-License-Identifier: Apache-2.0
// Texts that stores and programs leave beside layers: override attributes, file capabilities,
// fuse-overlayfs's command line, aufs's options. The first byte chooses which.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "agent/rootfs/aufs_branches.h"
#include "agent/rootfs/fuse_overlay.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/process_stat.h"
#include "common/image/file_capability.h"
#include "common/image/override_stat.h"

using namespace assay;

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void read_override(std::string_view text) {
  const auto stat = image::parse_override_stat(text);
  if (stat) require(stat->mode <= 07777);
}

void read_capability(std::string_view text) {
  const auto root_id = image::capability_root_id(text);
  if (!root_id) return;
  const std::string same = image::with_capability_root_id(std::string(text), *root_id);
  require(*root_id == 0 ? same.size() == 20 : same == text);
}

void read_command(std::string_view text) {
  const auto command = agent::parse_fuse_overlay_command(text);
  if (!command) return;
  require(!command->lower.empty() && command->lower.size() <= 500);
  for (const std::string& name : command->lower)
    require(!name.empty() && name.size() <= text.size() && name.find('\0') == std::string::npos);
}

/// Files of /proc/PID: both hold names that a container chooses.
void read_mounts(std::string_view text) {
  (void)parse_process_stat(text);
  for (const agent::MountEntry& entry : agent::parse_mountinfo(text)) {
    require(entry.mount_point.starts_with('/'));
    const std::string id = agent::aufs_id_of(entry.options);
    require(id.size() <= 16 && id.find('/') == std::string::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  constexpr void (*kReaders[])(std::string_view) = {read_override, read_capability, read_command,
                                                    read_mounts};
  kReaders[data[0] % std::size(kReaders)](text);
  return 0;
}
