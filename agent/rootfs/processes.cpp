// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/processes.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <charconv>

#include "agent/rootfs/process_state.h"
#include "common/base/encoding.h"
#include "common/base/file.h"
#include "common/base/unique_fd.h"

namespace assay::agent {
namespace {

using catalog::Login;

constexpr int kOpenFolder = O_PATH | O_DIRECTORY | O_CLOEXEC;
constexpr std::size_t kMaxSmallFile = 4096;
constexpr std::size_t kMaxNesting = 32;  // MAX_PID_NS_LEVEL of the kernel

/// Its folder in /proc; nothing when it is gone or its number is another's now.
UniqueFd open_process(const ProcessKey& key) {
  if (key.tgid == 0) return {};
  UniqueFd folder(::open(("/proc/" + std::to_string(key.tgid)).c_str(), kOpenFolder));
  if (!folder) return {};
  const auto stat = stat_of(folder.get());
  return stat && stat->has_started_at(key.start) ? std::move(folder) : UniqueFd();
}

std::uint32_t number_in(int folder, const char* file) {
  const auto text = read_file_at(folder, file, kMaxSmallFile);
  std::uint32_t number = Login::kNobody;
  if (text) (void)std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

/// The real user, out of the "Uid:" line of /proc/PID/status.
std::uint32_t user_of(int folder) {
  const auto status = read_file_at(folder, "status", 64U << 10);
  const std::size_t line = status ? status->find("\nUid:\t") : std::string::npos;
  std::uint32_t uid = Login::kNobody;
  if (line == std::string::npos) return uid;
  const char* const begin = status->data() + line + 6;
  (void)std::from_chars(begin, status->data() + status->size(), uid);
  return uid;
}

bool read_login(int folder, const ProcessInfo& process, Login& login) {
  const auto stat = stat_of(folder);
  if (!stat) return false;
  login.session = stat->session;
  login.terminal = terminal_name(stat->terminal);
  login.login_uid = number_in(folder, "loginuid");  // kernels without audit have none
  login.login_session = number_in(folder, "sessionid");
  login.told_by =
      escape_untrusted(process.name, 64) + " (pid " + std::to_string(process.key.tgid) + ")";
  return true;
}

/// What the security module calls the process; without one the kernel refuses the read.
std::string read_lsm_label(int folder) {
  auto label = read_file_at(folder, "attr/current", catalog::kMaxLsmLabelBytes);
  if (!label) return "";
  while (!label->empty() && (label->back() == '\n' || label->back() == '\0'))
    label->pop_back();
  return std::move(*label);
}

/// The pid namespaces around the process's own, nearest first, as far as the agent may see.
std::vector<std::uint64_t> outer_pid_namespaces(int folder, std::size_t levels) {
  std::vector<std::uint64_t> outer;
  UniqueFd space(::openat(folder, "ns/pid", O_RDONLY | O_CLOEXEC));
  while (space && outer.size() < levels) {
    UniqueFd parent(::ioctl(space.get(), NS_GET_PARENT));
    struct stat status {};
    if (!parent || ::fstat(parent.get(), &status) != 0) break;
    outer.push_back(status.st_ino);
    space = std::move(parent);
  }
  return outer;
}

}  // namespace

std::string terminal_name(std::uint32_t device) {
  constexpr std::uint32_t kTty = 4, kConsole = 5, kFirstPts = 136, kLastPts = 143, kSerial = 64;
  // As the kernel's new_encode_dev() packs it.
  const std::uint32_t number = (device >> 8U) & 0xFFFU;
  const std::uint32_t minor = (device & 0xFFU) | ((device >> 12U) & 0xFFF00U);
  if (device == 0) return "";
  if (number >= kFirstPts && number <= kLastPts)
    return "pts/" + std::to_string((number - kFirstPts) * 256 + minor);
  if (number == kTty)
    return minor < kSerial ? "tty" + std::to_string(minor)
                           : "ttyS" + std::to_string(minor - kSerial);
  if (number == kConsole) return minor == 1 ? "console" : "tty";
  return std::to_string(number) + ":" + std::to_string(minor);
}

void ProcProcesses::complete(ContainerStart& start) {
  const UniqueFd own = open_process(start.process.key);
  // The outermost of its pids is the host's, the last one that of its own namespace.
  const std::size_t levels = std::min(start.namespace_pids.size(), kMaxNesting);
  if (own && levels > 2) start.outer_pid_namespaces = outer_pid_namespaces(own.get(), levels - 2);
  if (own && start.posture.is_known) start.posture.lsm_label = read_lsm_label(own.get());
  Login& login = start.login;
  bool is_told = own && read_login(own.get(), start.process, login);
  for (const ProcessInfo& ancestor : start.ancestors) {
    if (is_told && login.starter_uid != Login::kNobody) return;
    const UniqueFd folder = open_process(ancestor.key);
    if (!folder) continue;
    if (!is_told) is_told = read_login(folder.get(), ancestor, login);
    if (login.starter_uid == Login::kNobody) login.starter_uid = user_of(folder.get());
  }
}

Result<std::optional<std::uint64_t>> ProcProcesses::root_device(const ProcessNumber& process) {
  // Whose start it is lives_on() asks.
  const auto state = state_of(AT_FDCWD, ("/proc/" + std::to_string(process.pid) + "/root").c_str());
  if (state) return std::optional(state->device);
  if (state.error().code == ErrorCode::kNotFound) return std::optional<std::uint64_t>();
  return state.error();
}

Result<bool> ProcProcesses::lives_on(const ProcessNumber& process, const RootIdentity& root) {
  const auto no_if_gone = [](Error error) -> Result<bool> {
    if (error.code == ErrorCode::kNotFound) return false;
    return error;
  };
  const UniqueFd folder(::open(("/proc/" + std::to_string(process.pid)).c_str(), kOpenFolder));
  if (!folder) return no_if_gone(process_error("open a process"));
  const auto stat = stat_of(folder.get());
  if (!stat) return no_if_gone(stat.error());
  if (process.start_ticks != 0 && stat->start_ticks != process.start_ticks) return false;
  const UniqueFd fd(::openat(folder.get(), "root", kOpenFolder));
  if (!fd) return no_if_gone(process_error("open the root of a process"));
  const auto state = state_of(fd.get(), "");
  if (!state) return no_if_gone(state.error());
  if (auto same = check_root(*state, fd.get(), folder.get(), root); !same)
    return no_if_gone(same.error());
  return true;
}

}  // namespace assay::agent
