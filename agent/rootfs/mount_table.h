// SPDX-License-Identifier: Apache-2.0
// Which superblocks are mounted where, from the agent's own /proc/self/mountinfo.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

struct MountEntry {
  std::uint64_t mount_id = 0;
  std::uint64_t device = 0;  ///< dev_t of the superblock
  std::string root;          ///< what of the file system is mounted; octal escapes undone
  std::string mount_point;   ///< octal escapes undone
  std::string type;          ///< of the file system
  std::string options;       ///< of the superblock, as they are
};

/// The entries of a mountinfo file; lines that are none are skipped.
/// Source: proc(5) "/proc/pid/mountinfo".
std::vector<MountEntry> parse_mountinfo(std::string_view text);

/// `text` without octal escapes ("\\040" is a space).
std::string undo_octal(std::string_view text);

/// The superblock's device of an open file, by its mount: on btrfs stat() gives a device of the
/// subvolume instead. `pid_dir`: the /proc folder of a process in the mount's namespace, e.g.
/// "/proc/self". Errors: kNotFound, kUnavailable.
Result<std::uint64_t> superblock_device_of(int fd, const std::string& pid_dir);

/// Descriptors through which file handles of a superblock can be opened. Kept while they are used,
/// closed by close_idle() after `idle`, so that the agent does not keep a file system from being
/// unmounted. Thread-safe.
class MountFds {
 public:
  explicit MountFds(std::chrono::milliseconds idle = std::chrono::seconds(2)) : idle_(idle) {}

  /// A descriptor of some directory of the superblock, shared with the table while it is young.
  /// Errors: kUnavailable (no mount of it in the agent's namespace that can be opened).
  Result<std::shared_ptr<const UniqueFd>> find(std::uint64_t device);
  /// Forgets the descriptor: it led nowhere.
  void drop(std::uint64_t device);
  /// About once a second.
  void close_idle();

 private:
  struct Kept {
    std::shared_ptr<const UniqueFd> fd;  // shared with calls in flight
    std::chrono::steady_clock::time_point used;
  };

  const std::chrono::milliseconds idle_;
  Mutex mutex_;
  std::map<std::uint64_t, Kept> kept_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::agent
