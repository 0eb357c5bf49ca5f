// SPDX-License-Identifier: Apache-2.0
// The notes that runtimes keep of what runs: an OCI runtime's state folder, a shim's bundle, a
// machine of systemd. Each names the first process of a container. Private to agent/runtime.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// One container, by the note of its runtime.
struct RuntimeNote {
  ProcessNumber init;
  std::string id;
  std::string runtime;  ///< docker, containerd, runc, crun, systemd-nspawn: who keeps the note
  std::string path;     ///< of its folder or file
  bool is_users_to_write = false;  ///< someone but root may write it
  std::uint32_t uid = 0;           ///< whose folder it lies in; 0: one that all runtimes share
};

struct NoteRoots {
  /// Of OCI runtimes: ROOT/ID/state.json (runc), ROOT/ID/status (crun), or the same below
  /// ROOT/NAMESPACE.
  std::vector<std::string> oci_states;
  std::vector<std::string> containerd;  ///< states, e.g. /run/containerd
  std::vector<std::string> machines;    ///< e.g. /run/systemd/machines
};

/// Of one user: BASE/PATH as StoreFolder::open_users() takes them.
struct UserNoteRoots {
  struct Root {
    std::string base;
    std::string path;
  };
  std::vector<Root> oci_states;
  std::vector<Root> containerd;
};

/// Of one reading.
struct NoteLimits {
  std::size_t max_notes = 20'000;     ///< together
  std::size_t max_folders = 10'000;   ///< in one folder
  std::size_t max_entries = 200'000;  ///< of all folders
  std::size_t max_bytes = 1U << 30;   ///< of all files
  std::chrono::milliseconds max_time{60'000};
};
/// What one user's folders may cost: a user may fill them with anything.
constexpr NoteLimits kUserNoteLimits{.max_notes = 2'000,
                                     .max_folders = 2'000,
                                     .max_entries = 2'000,
                                     .max_bytes = 8U << 20,
                                     .max_time = std::chrono::milliseconds(1'000)};

struct RuntimeNotes {
  std::vector<RuntimeNote> notes;
  std::string gap;  ///< why some may be missing, "" when none is
};

/// Reads all notes below `roots`; what is no note is passed over. Nothing leads out of a folder.
/// Blocks on disk (usually a tmpfs); `stop` is looked at between entries.
RuntimeNotes read_runtime_notes(const NoteRoots& roots, const NoteLimits& limits = {},
                                const std::stop_token& stop = {});
/// The same of a user's own runtimes, whose folders may hold anything.
RuntimeNotes read_users_notes(std::uint32_t uid, const UserNoteRoots& roots,
                              const NoteLimits& limits = kUserNoteLimits,
                              const std::stop_token& stop = {});

/// The process of runc's state.json or crun's status. Source: opencontainers/runc
/// libcontainer/container_linux.go "BaseState", containers/crun src/libcrun/status.c.
std::optional<ProcessNumber> parse_oci_state(std::string_view text);
/// The LEADER of a machine. Source: systemd src/machine/machine.c "machine_save".
std::optional<ProcessNumber> parse_machine(std::string_view text);

/// Where root's runtimes keep them: runc and crun by themselves and below podman and CRI-O, and
/// where docker (of a snap, too) and containerd have them keep theirs.
std::vector<std::string> default_oci_states();
/// Where a user's own runtimes keep their notes, by XDG_RUNTIME_DIR and by what podman does without
/// it: podman's, and rootless docker's with its containerd's.
UserNoteRoots note_roots_of_user(std::uint32_t uid);

}  // namespace assay::agent
