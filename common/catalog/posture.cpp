// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/posture.h"

#include <algorithm>
#include <array>

#include "common/base/encoding.h"

namespace assay::catalog {
namespace {

constexpr std::array<std::string_view, kPostureTraits> kTraits{
    "root",     "privileged", "no-seccomp", "new-privileges", "host-user", "host-pid",
    "host-net", "host-ipc",   "host-uts",   "host-cgroup",    "host-mnt",  "writable-root"};

// Source: capabilities(7), in the order of linux/capability.h.
constexpr std::array kCapabilities{"cap_chown",
                                   "cap_dac_override",
                                   "cap_dac_read_search",
                                   "cap_fowner",
                                   "cap_fsetid",
                                   "cap_kill",
                                   "cap_setgid",
                                   "cap_setuid",
                                   "cap_setpcap",
                                   "cap_linux_immutable",
                                   "cap_net_bind_service",
                                   "cap_net_broadcast",
                                   "cap_net_admin",
                                   "cap_net_raw",
                                   "cap_ipc_lock",
                                   "cap_ipc_owner",
                                   "cap_sys_module",
                                   "cap_sys_rawio",
                                   "cap_sys_chroot",
                                   "cap_sys_ptrace",
                                   "cap_sys_pacct",
                                   "cap_sys_admin",
                                   "cap_sys_boot",
                                   "cap_sys_nice",
                                   "cap_sys_resource",
                                   "cap_sys_time",
                                   "cap_sys_tty_config",
                                   "cap_mknod",
                                   "cap_lease",
                                   "cap_audit_write",
                                   "cap_audit_control",
                                   "cap_setfcap",
                                   "cap_mac_override",
                                   "cap_mac_admin",
                                   "cap_syslog",
                                   "cap_wake_alarm",
                                   "cap_block_suspend",
                                   "cap_audit_read",
                                   "cap_perfmon",
                                   "cap_bpf",
                                   "cap_checkpoint_restore"};

}  // namespace

std::string_view to_string(PostureTrait trait) {
  return kTraits[static_cast<std::size_t>(trait)];
}

Result<PostureTrait> parse_posture_trait(std::string_view text) {
  const auto found = std::ranges::find(kTraits, text);
  if (found != kTraits.end()) return static_cast<PostureTrait>(found - kTraits.begin());
  std::string all;
  for (const std::string_view trait : kTraits)
    all += (all.empty() ? "" : ", ") + std::string(trait);
  return Error{ErrorCode::kInvalidArgument,
               "posture \"" + escape_untrusted(std::string(text), 80) + "\": there are " + all};
}

std::vector<std::string> trait_names(const Posture& posture) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kPostureTraits; ++i)
    if (posture.has(static_cast<PostureTrait>(i))) names.emplace_back(kTraits[i]);
  return names;
}

std::vector<std::string> capability_names(std::uint64_t capabilities) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < 64; ++i) {
    if ((capabilities >> i & 1U) == 0) continue;
    names.push_back(i < kCapabilities.size() ? kCapabilities[i] : std::to_string(i));
  }
  return names;
}

}  // namespace assay::catalog
