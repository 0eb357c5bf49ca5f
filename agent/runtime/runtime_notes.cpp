// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/runtime_notes.h"

#include <charconv>

#include "agent/runtime/bounded_json.h"
#include "agent/runtime/store_folder.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxStateBytes = 1U << 20;
constexpr std::size_t kMaxNoteBytes = 4096;
constexpr const char* kTasks = "/io.containerd.runtime.v2.task";
constexpr const char* kDockersNamespace = "moby";

template <typename T>
std::optional<T> whole_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<std::uint64_t> number_at(const nlohmann::json& object, const char* key) {
  const nlohmann::json& value = member(object, key);
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<std::uint64_t>();
}

/// Collects notes up to the limits.
class Reader {
 public:
  explicit Reader(const NoteLimits& limits) : limits_(limits) {}

  void read_oci_states(const std::string& root) {
    for (const std::string& name : folders_in(root)) {
      const std::string folder = root + "/" + name;
      if (read_oci_state(folder, name, "")) continue;
      for (const std::string& id : folders_in(folder))
        if (!read_oci_state(folder + "/" + id, id, name)) break;  // no folder of a namespace
    }
  }

  void read_bundles(const std::string& state) {
    for (const std::string& space : folders_in(state + kTasks))
      for (const std::string& id : folders_in(state + kTasks + "/" + space)) {
        const std::string folder = state + kTasks + "/" + space + "/" + id;
        auto bundle = StoreFolder::open(folder);
        if (!bundle) continue;
        const auto note = bundle->read("init.pid", kMaxNoteBytes);
        const auto pid = note ? whole_number<std::uint32_t>(*note) : std::nullopt;
        if (pid) add({{*pid, 0}, id, runtime_of(space), folder, bundle->is_others_to_write()});
      }
  }

  void read_machines(const std::string& root) {
    for (const std::string& name : folders_in(root)) {
      auto folder = StoreFolder::open(root);
      const auto text = folder ? folder->read(name, kMaxNoteBytes) : std::nullopt;
      const auto leader = text ? parse_machine(*text) : std::nullopt;
      if (leader)
        add({*leader, name, "systemd-nspawn", root + "/" + name, folder->is_others_to_write()});
    }
  }

  RuntimeNotes take() && { return std::move(found_); }

 private:
  static std::string runtime_of(const std::string& name_space) {
    return name_space == kDockersNamespace ? "docker" : "containerd";
  }

  std::vector<std::string> folders_in(const std::string& path) {
    auto folder = StoreFolder::open(path);
    if (!folder) return {};
    auto names = folder->folders_in(".", limits_.max_folders);
    if (names.size() >= limits_.max_folders)
      found_.gap = path + " holds more than " + std::to_string(limits_.max_folders) + " entries";
    return names;
  }

  /// False when there is no state in the folder.
  bool read_oci_state(const std::string& path, const std::string& id,
                      const std::string& name_space) {
    auto folder = StoreFolder::open(path);
    if (!folder) return false;
    std::string runtime = "runc";
    auto text = folder->read("state.json", kMaxStateBytes);
    if (!text) {
      runtime = "crun";
      text = folder->read("status", kMaxStateBytes);
    }
    const auto init = text ? parse_oci_state(*text) : std::nullopt;
    if (!init) return text.has_value();
    add({*init, id, name_space.empty() ? runtime : runtime_of(name_space), path,
         folder->is_others_to_write()});
    return true;
  }

  void add(RuntimeNote note) {
    if (found_.notes.size() < limits_.max_notes) {
      found_.notes.push_back(std::move(note));
      return;
    }
    found_.gap = "there are more than " + std::to_string(limits_.max_notes) + " notes of runtimes";
  }

  const NoteLimits limits_;
  RuntimeNotes found_;
};

}  // namespace

std::optional<ProcessNumber> parse_oci_state(std::string_view text) {
  const auto state = parse_bounded_json(text);
  if (!state) return std::nullopt;
  for (const auto& [pid_key, start_key] : {std::pair("init_process_pid", "init_process_start"),
                                           std::pair("pid", "process-start-time")}) {
    const auto pid = number_at(*state, pid_key);
    if (!pid || *pid == 0 || *pid > UINT32_MAX) continue;
    return ProcessNumber{static_cast<std::uint32_t>(*pid),
                         number_at(*state, start_key).value_or(0)};
  }
  return std::nullopt;
}

std::optional<ProcessNumber> parse_machine(std::string_view text) {
  constexpr std::string_view kLeader = "LEADER=";
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(kLeader)) continue;
    const auto pid = whole_number<std::uint32_t>(line.substr(kLeader.size()));
    if (pid && *pid != 0) return ProcessNumber{*pid, 0};
  }
  return std::nullopt;
}

RuntimeNotes read_runtime_notes(const NoteRoots& roots, const NoteLimits& limits) {
  Reader reader(limits);
  for (const std::string& root : roots.oci_states)
    reader.read_oci_states(root);
  for (const std::string& state : roots.containerd)
    reader.read_bundles(state);
  for (const std::string& root : roots.machines)
    reader.read_machines(root);
  return std::move(reader).take();
}

std::vector<std::string> default_oci_states() {
  return {"/run/runc", "/run/crun", "/run/containerd/runc", "/run/docker/runtime-runc",
          "/run/docker/runtime-crun"};
}

std::vector<std::string> oci_states_of_user(std::uint32_t uid) {
  const std::string number = std::to_string(uid);
  std::vector<std::string> roots;
  for (const char* folder : {"/run/user/", "/tmp/podman-run-", "/tmp/storage-run-", "/tmp/run-"})
    for (const char* runtime : {"/runc", "/crun"})
      roots.push_back(folder + number + runtime);
  return roots;
}

}  // namespace assay::agent
