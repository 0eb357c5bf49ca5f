// SPDX-License-Identifier: Apache-2.0
// The folder on bpffs where the probe's objects are pinned, so that they outlive a killed agent.
#pragma once

#include <optional>
#include <string>

#include "agent/probe/probe_objects.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"

namespace assay::agent {

/// Holds the folder's lock while it lives: one agent at a time. Not thread-safe.
/// Source: Linux kernel/bpf/inode.c; flock(2).
class PinFolder {
 public:
  /// Opens the folder, makes it if bpffs is there, and takes its lock. bpffs itself is never
  /// mounted. Errors: kUnsupported (no bpffs there), kPermissionDenied (no right, or somebody else
  /// may write to it), kUnavailable (another agent holds it).
  static Result<PinFolder> open(const std::string& path);
  /// The same for a folder that must be there. Errors: those of open(), kNotFound.
  static Result<PinFolder> open_existing(const std::string& path);

  /// The objects that an earlier agent pinned; nothing when there are none.
  /// Errors: kCorrupt (some of them are missing), kPermissionDenied, kUnavailable.
  Result<std::optional<ProbeObjects>> get() const;
  /// Pins all objects, or none. There must be no pins yet. Errors: kPermissionDenied, kUnavailable.
  Result<void> pin(const ProbeObjects& objects) const;
  /// Removes all pins, drafts of killed agents too. Links detach when nobody holds a descriptor of
  /// them. Errors: kPermissionDenied, kUnavailable.
  Result<void> clear() const;
  /// The same, and the folder; nothing can be pinned in it any more.
  Result<void> remove() const;
  /// Whether there is anything to remove.
  bool has_pins() const;
  const std::string& path() const { return path_; }

 private:
  PinFolder(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  static Result<PinFolder> lock(const std::string& path);

  std::string path_;
  UniqueFd lock_;
};

}  // namespace assay::agent
