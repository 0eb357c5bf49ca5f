// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/runtime_notes.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "agent/runtime/bounded_json.h"
#include "agent/runtime/store_folder.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxStateBytes = 1U << 20;
constexpr std::size_t kMaxNoteBytes = 4096;
constexpr const char* kTasks = "io.containerd.runtime.v2.task";
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

using Clock = std::chrono::steady_clock;

/// Collects notes up to the limits. All that it opens it opens from the root it was given.
class Reader {
 public:
  Reader(std::uint32_t uid, const NoteLimits& limits, const std::stop_token& stop)
      : uid_(uid), limits_(limits), stop_(stop), deadline_(Clock::now() + limits.max_time) {}

  void read_oci_states(std::optional<StoreFolder> root) {
    if (!root) return;
    for (const std::string& name : names_in(*root)) {
      if (!goes_on()) return;
      auto folder = root->open_folder(name);
      if (!folder || read_oci_state(*folder, name, "")) continue;
      for (const std::string& id : names_in(*folder)) {
        auto state = folder->open_folder(id);
        if (!goes_on() || !state || !read_oci_state(*state, id, name)) break;  // no namespace's
      }
    }
  }

  void read_bundles(std::optional<StoreFolder> state) {
    auto tasks = state ? state->open_folder(kTasks) : std::nullopt;
    if (!tasks) return;
    for (const std::string& space : names_in(*tasks)) {
      auto folder = tasks->open_folder(space);
      if (!folder) continue;
      for (const std::string& id : names_in(*folder)) {
        if (!goes_on()) return;
        auto bundle = folder->open_folder(id);
        const auto text = bundle ? read(*bundle, "init.pid", kMaxNoteBytes) : std::nullopt;
        const auto pid = text ? whole_number<std::uint32_t>(*text) : std::nullopt;
        if (pid) add({*pid, 0}, id, runtime_of(space), *bundle);
      }
    }
  }

  void read_machines(const std::string& root) {
    auto machines = StoreFolder::open(root);
    if (!machines) return;
    for (const std::string& name : names_in(*machines)) {
      if (!goes_on()) return;
      auto folder = machines->open_folder(".");  // one for each: who may write it is known of all
      const auto text = folder ? read(*folder, name, kMaxNoteBytes) : std::nullopt;
      const auto leader = text ? parse_machine(*text) : std::nullopt;
      if (leader)
        add_note({*leader, name, "systemd-nspawn", root + "/" + name, folder->is_others_to_write(),
                  uid_});
    }
  }

  RuntimeNotes take() && { return std::move(found_); }

 private:
  static std::string runtime_of(const std::string& name_space) {
    return name_space == kDockersNamespace ? "docker" : "containerd";
  }

  std::vector<std::string> names_in(StoreFolder& folder) {
    if (!goes_on()) return {};
    const std::size_t most = std::min(limits_.max_folders, limits_.max_entries - entries_);
    if (most == 0) {
      end("the folders hold more than " + std::to_string(limits_.max_entries) + " entries");
      return {};
    }
    auto names = folder.folders_in(".", most);
    entries_ += names.size();
    if (names.size() >= most)
      found_.gap = folder.path() + " holds " + std::to_string(most) + " entries or more";
    return names;
  }

  /// A file of a note; nothing when there is none, or no room for it.
  std::optional<std::string> read(StoreFolder& folder, const std::string& name,
                                  std::size_t max_bytes) {
    const UniqueFd fd = folder.open_file(name);
    const auto stamp = fd ? stamp_of(fd.get()) : std::nullopt;
    if (!stamp || stamp->bytes > max_bytes) return std::nullopt;
    if (stamp->bytes > limits_.max_bytes - bytes_) {
      end("the notes hold more than " + std::to_string(limits_.max_bytes) + " bytes");
      return std::nullopt;
    }
    auto text = StoreFolder::read_open(fd.get(), stamp->bytes);
    bytes_ += stamp->bytes;
    return text;
  }

  /// False when there is no state in the folder.
  bool read_oci_state(StoreFolder& folder, const std::string& id, const std::string& name_space) {
    std::string runtime = "runc";
    auto text = read(folder, "state.json", kMaxStateBytes);
    if (!text) {
      runtime = "crun";
      text = read(folder, "status", kMaxStateBytes);
    }
    const auto init = text ? parse_oci_state(*text) : std::nullopt;
    if (!init) return text.has_value();
    add(*init, id, name_space.empty() ? runtime : runtime_of(name_space), folder);
    return true;
  }

  void add(const ProcessNumber& init, const std::string& id, const std::string& runtime,
           const StoreFolder& folder) {
    add_note({init, id, runtime, folder.path(), folder.is_others_to_write(), uid_});
  }
  void add_note(RuntimeNote note) {
    if (found_.notes.size() < limits_.max_notes)
      found_.notes.push_back(std::move(note));
    else
      end("there are more than " + std::to_string(limits_.max_notes) + " notes of runtimes");
  }

  /// Whether there is time and room for one more entry.
  bool goes_on() {
    if (is_over_ || stop_.stop_requested()) return false;
    if (Clock::now() >= deadline_)
      end("reading the notes took longer than " + std::to_string(limits_.max_time.count()) + " ms");
    return !is_over_;
  }
  void end(std::string why) {
    found_.gap = std::move(why);
    is_over_ = true;
  }

  const std::uint32_t uid_;
  const NoteLimits limits_;
  const std::stop_token stop_;
  const Clock::time_point deadline_;
  std::size_t entries_ = 0;
  std::size_t bytes_ = 0;
  bool is_over_ = false;
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

RuntimeNotes read_runtime_notes(const NoteRoots& roots, const NoteLimits& limits,
                                const std::stop_token& stop) {
  Reader reader(0, limits, stop);
  for (const std::string& root : roots.oci_states)
    reader.read_oci_states(StoreFolder::open(root));
  for (const std::string& state : roots.containerd)
    reader.read_bundles(StoreFolder::open(state));
  for (const std::string& root : roots.machines)
    reader.read_machines(root);
  return std::move(reader).take();
}

RuntimeNotes read_users_notes(std::uint32_t uid, const UserNoteRoots& roots,
                              const NoteLimits& limits, const std::stop_token& stop) {
  Reader reader(uid, limits, stop);
  for (const auto& [base, path] : roots.oci_states)
    reader.read_oci_states(StoreFolder::open_users(base, path, uid));
  for (const auto& [base, path] : roots.containerd)
    reader.read_bundles(StoreFolder::open_users(base, path, uid));
  return std::move(reader).take();
}

std::vector<std::string> default_oci_states() {
  return {"/run/runc",
          "/run/crun",
          "/run/containerd/runc",
          "/run/docker/runtime-runc",
          "/run/docker/runtime-crun",
          "/run/snap.docker/runtime-runc"};
}

UserNoteRoots note_roots_of_user(std::uint32_t uid) {
  const std::string number = std::to_string(uid);
  const std::string home = "/run/user/" + number;  // usually a mount of its own
  UserNoteRoots roots;
  for (const char* path : {"runc", "crun", "docker/runtime-runc", "docker/runtime-crun"})
    roots.oci_states.push_back({home, path});
  for (const char* folder : {"podman-run-", "storage-run-", "run-"})
    for (const char* runtime : {"/runc", "/crun"})
      roots.oci_states.push_back({"/tmp", folder + number + runtime});
  roots.containerd.push_back({home, "docker/containerd/daemon"});
  return roots;
}

}  // namespace assay::agent
