// SPDX-License-Identifier: Apache-2.0
// `assay-agent check`: what this machine offers, each with why it matters.
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/app/probe_source.h"
#include "agent/app/run.h"
#include "agent/core/run_identity.h"
#include "agent/probe/pin_folder.h"
#include "agent/rootfs/file_handle.h"
#include "agent/rootfs/file_system.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/encoding.h"
#include "common/base/file.h"

namespace assay::agent {
namespace {

enum class Answer { kOk, kMissing, kOptional, kUnknown };

struct Line {
  std::string what;
  Answer answer = Answer::kOk;
  std::string detail;  ///< why it matters, or what to do
};

const char* word(Answer answer) {
  switch (answer) {
    case Answer::kOk:
      return "ok";
    case Answer::kMissing:
      return "MISSING";
    case Answer::kOptional:
      return "missing (optional)";
    case Answer::kUnknown:
      return "not known";
  }
  return "";
}

std::uint64_t effective_capabilities() {
  const auto status = read_file("/proc/self/status", 64U << 10);
  if (!status) return 0;
  const std::string label = "CapEff:";
  const std::size_t start = status->find(label);
  if (start == std::string::npos) return 0;
  return std::strtoull(status->c_str() + start + label.size(), nullptr, 16);
}

struct Capability {
  int number;
  const char* name;
  bool is_needed;
  const char* why;
};
constexpr Capability kCapabilities[] = {
    {CAP_BPF, "CAP_BPF", true, "load the probe"},
    {CAP_PERFMON, "CAP_PERFMON", true, "attach the probe and read kernel memory"},
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", true, "open layers by file handle, read them all"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", true, "look names up through /proc/PID/root"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", false,
     "read trusted.* marks: without it deletions of a layer are not seen"},
};

void check_capabilities(std::vector<Line>& lines) {
  const std::uint64_t held = effective_capabilities();
  const auto has = [&](int number) { return (held >> static_cast<unsigned>(number) & 1U) != 0; };
  for (const Capability& capability : kCapabilities) {
    const bool is_there = has(capability.number);
    const Answer missing = capability.is_needed ? Answer::kMissing : Answer::kOptional;
    lines.push_back({capability.name, is_there ? Answer::kOk : missing, capability.why});
  }
}

void check_btf(std::vector<Line>& lines) {
  const bool has_kernel = ::access("/sys/kernel/btf/vmlinux", R_OK) == 0;
  lines.push_back({"kernel BTF", has_kernel ? Answer::kOk : Answer::kMissing,
                   "/sys/kernel/btf/vmlinux: the probe finds the kernel's structures with it"});
}

void check_probe(const AgentConfig& config, std::vector<Line>& lines) {
  const SystemClock clock;
  AgentConfig unpinned = config;  // what an agent pinned is none of our business
  unpinned.pin_dir.clear();
  const auto source = make_probe_source(unpinned, clock);
  if (!source) {
    lines.push_back({"BPF programs", Answer::kMissing, source.error().text()});
    return;
  }
  lines.push_back({"BPF programs", Answer::kOk, "the kernel takes the probe"});
  const std::string problem = (*source)->health().detail;
  lines.push_back({"overlay types", problem.empty() ? Answer::kOk : Answer::kMissing,
                   problem.empty() ? "layers are read from the kernel at exec" : problem});
}

Line check_pins(const AgentConfig& config) {
  Line line{"pins on bpffs", Answer::kOptional, ""};
  const std::string folder = pin_folder(config);
  if (folder.empty()) {
    line.detail =
        "probe.pin_dir is empty: what starts while the agent is away is seen only if it "
        "still runs afterwards";
  } else if (const auto pins = PinFolder::open(folder)) {
    line.answer = Answer::kOk;
    line.detail = "a killed agent's probe goes on in " + folder;
    if (!pins->has_pins()) (void)pins->remove();
  } else if (pins.error().code == ErrorCode::kUnavailable) {
    line.answer = Answer::kOk;
    line.detail = pins.error().text();
  } else {
    line.detail = pins.error().text();
  }
  return line;
}

/// Opens a folder by a handle made from its inode and generation, as it is done with layers.
Line check_handles(const std::string& folder) {
  Line line{"open_by_handle_at", Answer::kUnknown, ""};
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    line.detail = folder + " cannot be opened";
    return line;
  }
  const auto magic = magic_of(fd.get());
  const auto device = superblock_device_of(fd.get(), "/proc/self");
  if (!magic || !device) {
    line.detail = folder + ": its file system is not known";
    return line;
  }
  if (*magic != kMagicExt && *magic != kMagicXfs) {
    line.detail = folder + " is on " + file_system_name(*magic) + ": layers there go by name";
    return line;
  }
  MountFds mounts;
  const auto mount = mounts.find(*device);
  const auto generation = generation_of(fd.get(), *magic);
  if (!mount || !generation) {
    line.detail = folder + ": its mount or generation cannot be read";
    return line;
  }
  const auto opened = open_directory_by_handle((*mount)->get(), *magic, status.st_ino, *generation);
  line.answer = opened ? Answer::kOk : Answer::kMissing;
  line.detail = opened ? "layers are opened by inode and generation" : opened.error().text();
  return line;
}

/// Whether any runtime's records are where the configuration says: without them every container is
/// the finding `rogue`.
Line check_records(const AgentConfig& config) {
  Line line{"runtimes' records", Answer::kOptional, ""};
  for (const auto* folders : {&config.docker_roots, &config.containerd_states,
                              &config.containers_storage_roots, &config.oci_states})
    for (const std::string& folder : *folders) {
      if (::access(folder.c_str(), X_OK) != 0) continue;
      line.answer = Answer::kOk;
      line.detail += (line.detail.empty() ? "" : ", ") + folder;
    }
  if (line.answer != Answer::kOk)
    line.detail =
        "no folder of runtime.* is there: containers have no names, and each is the finding rogue";
  return line;
}

std::string existing_parent(std::filesystem::path path) {
  std::error_code error;
  while (!path.empty() && path != "/" && !std::filesystem::exists(path, error))
    path = path.parent_path();
  return path.empty() ? "/" : path.string();
}

}  // namespace

ExitCode check_machine(const AgentConfig& config) {
  std::vector<Line> lines;
  check_capabilities(lines);
  check_btf(lines);
  check_probe(config, lines);
  lines.push_back(check_pins(config));
  lines.push_back(check_records(config));
  lines.push_back(check_handles(existing_parent(config.state_dir)));
  bool is_missing = false;
  for (const Line& line : lines) {
    is_missing |= line.answer == Answer::kMissing;
    std::printf("%-20s %-19s %s\n", line.what.c_str(), word(line.answer),
                escape_untrusted(line.detail).c_str());
  }
  if (is_missing && ::geteuid() != 0)
    std::printf("Run it as root, or give the program the missing capabilities.\n");
  return is_missing ? ExitCode::kMissingNeed : ExitCode::kOk;
}

}  // namespace assay::agent
