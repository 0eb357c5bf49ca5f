// SPDX-License-Identifier: Apache-2.0
#include "agent/confine/rights.h"

#include <cap-ng.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "common/base/file.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxStatusBytes = 64U << 10;
constexpr Right kRights[] = {
    {CAP_BPF, "CAP_BPF", true, false, "load the probe"},
    {CAP_PERFMON, "CAP_PERFMON", true, false,
     "load programs that read the kernel's memory; given up once they are loaded"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", true, true,
     "look into /proc/PID of containers: their root, mounts, namespaces and programs"},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", true, true,
     "open layers by file handle, and read them and the runtimes' records whoever owns them"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", false, true,
     "read trusted.* marks: without it opaque folders of a layer are not seen, and said so"},
};

Error caps_error(const char* what) {
  return {ErrorCode::kUnavailable, std::string(what) + ": the kernel refused it"};
}

/// Whether bpf(2) asks for CAP_BPF even when nothing is loaded. So do kernels before 5.19 where
/// kernel.unprivileged_bpf_disabled is set; tried, as vendors carry that change back.
/// Source: linux c8644cd0efe7 "bpf: refine kernel.unprivileged_bpf_disabled behaviour".
Result<bool> wants_bpf_right() {
  if (capng_get_caps_process() != 0) return caps_error("read the capabilities");
  void* before = capng_save_state();
  for (const unsigned right : {unsigned{CAP_BPF}, unsigned{CAP_SYS_ADMIN}})
    capng_update(CAPNG_DROP, CAPNG_EFFECTIVE, right);
  const bool is_down = capng_apply(CAPNG_SELECT_CAPS) == 0;
  bpf_attr attr{};
  attr.map_fd = ~0U;  // no descriptor: EBADF when the call is answered at all
  const bool is_refused =
      ::syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) < 0 && errno == EPERM;
  capng_restore_state(&before);  // and frees it
  if (!is_down) return caps_error("lay CAP_BPF down");
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return caps_error("take CAP_BPF up again");
  return is_refused;
}

bool is_kept(const Right& right, std::uint64_t held, bool keeps_bpf) {
  const bool is_wanted = right.is_for_watching || (right.number == CAP_BPF && keeps_bpf);
  return is_wanted && has_right(held, right.number);
}

}  // namespace

std::span<const Right> used_rights() {
  return kRights;
}

Result<std::uint64_t> effective_rights() {
  ASSAY_ASSIGN(const std::string status, read_file("/proc/self/status", kMaxStatusBytes));
  const std::string label = "CapEff:";
  const std::size_t start = status.find(label);
  if (start == std::string::npos)
    return Error{ErrorCode::kUnavailable, "/proc/self/status has no CapEff"};
  return std::strtoull(status.c_str() + start + label.size(), nullptr, 16);
}

bool has_right(std::uint64_t held, int number) {
  return (held >> static_cast<unsigned>(number) & 1U) != 0;
}

Result<void> forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_error("set no_new_privs");
  return ok();
}

Result<std::string> give_up_rights() {
  ASSAY_ASSIGN(const std::uint64_t held, effective_rights());
  ASSAY_ASSIGN(const bool keeps_bpf, wants_bpf_right());
  capng_clear(CAPNG_SELECT_ALL);
  std::string kept;
  for (const Right& right : used_rights()) {
    if (!is_kept(right, held, keeps_bpf)) continue;
    constexpr auto kSets =
        static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET);
    capng_update(CAPNG_ADD, kSets, static_cast<unsigned>(right.number));
    kept += (kept.empty() ? "" : " ") + std::string(right.name);
  }
  if (has_right(held, CAP_SETPCAP)) {
    if (capng_apply(CAPNG_SELECT_BOUNDS) != 0) return caps_error("lower the bounding set");
  }
  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
    return system_error("empty the ambient capabilities");
  if (capng_apply(CAPNG_SELECT_CAPS) != 0) return caps_error("give up capabilities");
  return kept;
}

}  // namespace assay::agent
