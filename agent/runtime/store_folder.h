// SPDX-License-Identifier: Apache-2.0
// A runtime's folder, read with limits: nothing leads out of it, and of everything on the way it is
// known whether someone but root may write it. Private to agent/runtime.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Which state of a file was read: stores replace their files whole.
struct FileStamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t modified_ns = 0;
  std::int64_t changed_ns = 0;
  std::uint64_t bytes = 0;
  auto operator<=>(const FileStamp&) const = default;
};
/// Nothing when it is no regular file.
std::optional<FileStamp> stamp_of(int fd);

/// One component of a path that foreign text may name: not empty, no "/", not "." or "..".
bool is_safe_name(std::string_view name);

/// Whether only root may write `path` and each folder above it (in a sticky one root's entries are
/// safe). `path`: absolute. False when one is not there.
bool is_only_roots_to_write(const std::string& path);

/// Not thread-safe. Blocks on disk.
class StoreFolder {
 public:
  /// The folder at `path`, absolute; empty when it is not there.
  static std::optional<StoreFolder> open(const std::string& path);

  /// A folder that the user `uid` may have made: `path` below `base`. `base` may be a mount; from
  /// there on, and in all that is opened beneath later, neither links nor mounts are followed, so
  /// that nothing waits for what the user hides behind one. Others may write it. Empty when it is
  /// not there, or is another user's.
  static std::optional<StoreFolder> open_users(const std::string& base, const std::string& path,
                                               std::uint32_t uid);
  /// A directory beneath, as a folder with the same limits; empty as open_directory().
  std::optional<StoreFolder> open_folder(const std::string& path) const;

  /// A regular file beneath, open for reading; empty when it is absent, another kind, or reached by
  /// a link.
  UniqueFd open_file(const std::string& path);
  /// The whole file, at most `max_bytes`; nothing when it cannot be opened or is larger.
  std::optional<std::string> read(const std::string& path, std::size_t max_bytes);
  /// As read(), of a file that is open.
  static std::optional<std::string> read_open(int fd, std::size_t max_bytes);
  /// A directory beneath, O_PATH; empty when it is absent, another kind, or reached by a link.
  UniqueFd open_directory(const std::string& path);

  /// The directory at `path`, as if the folder were "/" and links may be followed, O_PATH; opened
  /// from what the kernel has at hand, without waiting for a disk or for a daemon behind a file
  /// system. Errors: kNotFound; kUnavailable (not at hand: it may be there).
  Result<UniqueFd> open_at_hand(const std::string& path);
  /// Looks at who may write `path` and the folders on the way to it, as opening it does.
  void look_at(const std::string& path);
  /// Names in a directory beneath, at most `max`; those that are safe to go on with.
  std::vector<std::string> folders_in(const std::string& path, std::size_t max);

  const std::string& path() const { return path_; }
  /// Whether someone but root may write the folder, one above it, or anything that was opened so
  /// far with all folders on the way.
  bool is_others_to_write() const { return is_others_; }

 private:
  StoreFolder(std::string path, UniqueFd fd);
  StoreFolder(std::string path, UniqueFd fd, std::uint64_t resolve, bool is_others);

  UniqueFd open_beneath(const std::string& path, std::uint64_t flags) const;

  std::string path_;
  UniqueFd fd_;
  std::uint64_t resolve_ = 0;  ///< of openat2(), more than all folders have
  bool is_others_ = false;
  std::map<std::string, bool> looked_at_;
};

}  // namespace assay::agent
