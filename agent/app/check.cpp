// SPDX-License-Identifier: Apache-2.0
// `assay-agent check`: what this machine offers, each with why it matters.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "agent/app/failure.h"
#include "agent/app/probe_source.h"
#include "agent/app/run.h"
#include "agent/confine/rights.h"
#include "agent/core/run_identity.h"
#include "agent/probe/pin_folder.h"
#include "agent/rootfs/file_handle.h"
#include "agent/rootfs/file_system.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"

namespace assay::agent {
namespace {

enum class Answer { kOk, kMissing, kOptional, kUnknown };

struct Feature {
  std::string name;
  std::string why;  ///< what it is for
  Answer answer = Answer::kOk;
  std::string detail = {};  ///< what was seen, or what to do
};

const char* word(Answer answer) {
  switch (answer) {
    case Answer::kOk:
      return "ok";
    case Answer::kMissing:
      return "missing";
    case Answer::kOptional:
      return "optional";
    case Answer::kUnknown:
      return "unknown";
  }
  return "";
}

void check_capabilities(std::vector<Feature>& features) {
  const auto held = effective_rights();
  for (const Right& right : used_rights()) {
    Feature feature{right.name, right.why};
    if (!held) {
      feature.answer = Answer::kUnknown;
      feature.detail = held.error().text();
    } else if (!has_right(*held, right.number)) {
      feature.answer = right.is_needed ? Answer::kMissing : Answer::kOptional;
      feature.detail = right.is_needed ? "run it as root, or grant it" : "";
    }
    features.push_back(std::move(feature));
  }
}

Feature check_btf() {
  Feature feature{"kernel BTF", "the probe finds the kernel's structures with it"};
  const char* const path = "/sys/kernel/btf/vmlinux";
  struct stat status {};
  if (::access(path, R_OK) == 0 && ::stat(path, &status) == 0 && status.st_size > 0) return feature;
  feature.answer = Answer::kMissing;
  feature.detail =
      "no /sys/kernel/btf/vmlinux: use a kernel built with CONFIG_DEBUG_INFO_BTF=y, and mount /sys";
  return feature;
}

/// The mode in brackets: "none [integrity] confidentiality".
Feature check_lockdown() {
  Feature feature{"kernel lockdown", "with confidentiality no program may read kernel memory"};
  const auto text = read_file("/sys/kernel/security/lockdown", 4096);
  if (!text) {
    feature.answer = Answer::kUnknown;
    feature.detail =
        "/sys/kernel/security/lockdown is not there: none, or securityfs is not mounted";
    return feature;
  }
  const std::size_t begin = text->find('[');
  const std::size_t end = text->find(']');
  if (begin != std::string::npos && end != std::string::npos && end > begin)
    feature.detail = text->substr(begin + 1, end - begin - 1);
  if (feature.detail == "confidentiality") feature.answer = Answer::kMissing;
  return feature;
}

Feature check_seccomp() {
  Feature feature{"seccomp", "the agent refuses itself the system calls that it does not make"};
  if (::access("/proc/sys/kernel/seccomp/actions_avail", R_OK) == 0) return feature;
  feature.answer = Answer::kMissing;
  feature.detail = "this kernel has none (CONFIG_SECCOMP_FILTER): set rights.seccomp: false";
  return feature;
}

void check_probe(const AgentConfig& config, std::vector<Feature>& features) {
  const SystemClock clock;
  AgentConfig unpinned = config;  // what an agent pinned is none of our business
  unpinned.pin_dir.clear();
  Feature programs{"BPF programs", "starts are seen when they happen"};
  Feature types{"overlay types", "layers are read from the kernel at the exec"};
  const auto source = make_probe_source(unpinned, clock);
  if (!source) {
    programs.answer = Answer::kMissing;
    programs.detail = source.error().text();
    types.answer = Answer::kUnknown;
    types.detail = "the probe does not load";
  } else if (std::string problem = (*source)->health().detail; !problem.empty()) {
    types.answer = Answer::kMissing;
    types.detail = std::move(problem);
  }
  features.push_back(std::move(programs));
  features.push_back(std::move(types));
}

Feature check_pins(const AgentConfig& config) {
  Feature feature{"pins on bpffs", "a killed agent's probe watches on", Answer::kOptional};
  const std::string folder = pin_folder(config);
  if (folder.empty()) {
    feature.detail =
        "probe.pin_dir is empty: what starts while the agent is away is seen only if it "
        "still runs afterwards";
  } else if (const auto pins = PinFolder::open(folder)) {
    feature.answer = Answer::kOk;
    feature.detail = "in " + folder;
    if (!pins->has_pins()) (void)pins->remove();
  } else {
    if (pins.error().code == ErrorCode::kUnavailable) feature.answer = Answer::kOk;
    feature.detail = pins.error().text();
  }
  return feature;
}

/// Opens a folder by a handle made from its inode and generation, as it is done with layers.
Feature check_handles(const std::string& folder) {
  Feature feature{"open_by_handle_at",
                  "layers are opened by inode and generation, whatever their names",
                  Answer::kUnknown};
  const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    feature.detail = folder + " cannot be opened";
    return feature;
  }
  const auto magic = magic_of(fd.get());
  const auto device = superblock_device_of(fd.get(), "/proc/self");
  if (!magic || !device) {
    feature.detail = folder + ": its file system is not known";
    return feature;
  }
  if (*magic != kMagicExt && *magic != kMagicXfs) {
    feature.detail = folder + " is on " + file_system_name(*magic) + ": layers there go by name";
    return feature;
  }
  MountFds mounts;
  const auto mount = mounts.find(*device);
  const auto generation = generation_of(fd.get(), *magic);
  if (!mount || !generation) {
    feature.detail = folder + ": its mount or generation cannot be read";
    return feature;
  }
  const auto opened = open_directory_by_handle((*mount)->get(), *magic, status.st_ino, *generation);
  feature.answer = opened ? Answer::kOk : Answer::kMissing;
  feature.detail = opened ? "tried on " + folder : opened.error().text();
  return feature;
}

/// Whether any runtime's records are where the configuration says: without them every container is
/// the finding `rogue`.
Feature check_records(const AgentConfig& config) {
  Feature feature{"runtimes' records", "containers have names, and none is the finding rogue",
                  Answer::kOptional};
  for (const auto* folders : {&config.docker_roots, &config.containerd_states,
                              &config.containers_storage_roots, &config.oci_states})
    for (const std::string& folder : *folders) {
      if (::access(folder.c_str(), X_OK) != 0) continue;
      feature.answer = Answer::kOk;
      feature.detail += (feature.detail.empty() ? "" : ", ") + folder;
    }
  if (feature.answer != Answer::kOk) feature.detail = "no folder of runtime.* is there";
  return feature;
}

std::string existing_parent(std::filesystem::path path) {
  std::error_code error;
  while (!path.empty() && path != "/" && !std::filesystem::exists(path, error))
    path = path.parent_path();
  return path.empty() ? "/" : path.string();
}

std::vector<Feature> look_at(const AgentConfig& config) {
  std::vector<Feature> features;
  check_capabilities(features);
  features.push_back(check_btf());
  features.push_back(check_lockdown());
  features.push_back(check_seccomp());
  check_probe(config, features);
  features.push_back(check_pins(config));
  features.push_back(check_records(config));
  features.push_back(check_handles(existing_parent(config.state_dir)));
  return features;
}

output::Document document_of(const std::vector<Feature>& features, bool is_ready) {
  output::Array rows;
  for (const Feature& feature : features)
    rows.emplace_back(output::Object{{"feature", feature.name},
                                     {"state", word(feature.answer)},
                                     {"why", feature.why},
                                     {"detail", feature.detail}});
  output::Document document;
  document.value = output::Object{{"is_ready", is_ready}, {"features", std::move(rows)}};
  document.sections = {
      {.path = "features",
       .columns = {
           {"FEATURE", "feature"}, {"STATE", "state"}, {"WHY", "why"}, {"DETAIL", "detail"}}}};
  return document;
}

}  // namespace

ExitCode check_machine(const AgentConfig& config, const PrintOptions& options) {
  const std::vector<Feature> features = look_at(config);
  const bool is_ready = std::ranges::none_of(
      features, [](const Feature& feature) { return feature.answer == Answer::kMissing; });
  if (auto printed = print_document(document_of(features, is_ready), options); !printed)
    return fail(printed.error());
  return is_ready ? ExitCode::kOk : ExitCode::kMissingNeed;
}

}  // namespace assay::agent
