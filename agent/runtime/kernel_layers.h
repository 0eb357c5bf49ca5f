// SPDX-License-Identifier: Apache-2.0
// The directories that the kernel named for one run, to hold a store's record against. Private to
// agent/runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "agent/core/ports.h"

namespace assay::agent {

/// `start` and `check` outlive it. Not thread-safe.
class KernelLayers {
 public:
  KernelLayers(const ContainerStart& start, DirectoryCheck& check);

  /// Bottom first; the root directory itself where the root has no layers.
  const std::vector<LowerLayer>& layers() const { return layers_; }
  bool are_directories() const { return are_directories_; }
  /// Which of layers() the open directory is: by device, inode and generation.
  std::optional<std::size_t> place_of(int fd) const;
  /// Whether the open directory is what this very run writes to: overlay's upper, else its root.
  bool is_runs_own(int fd) const;
  /// Whether the directory is certainly another than the one that the run writes to: by its inode
  /// number. Not the opposite of is_runs_own(): either may be more than can be told. `is_upper`: it
  /// would be an overlay's upper directory, else the root itself.
  bool is_anothers(int fd, bool is_upper) const;
  /// Whether the root stands on layers at all, or is one plain directory.
  bool is_stack() const { return is_stack_; }

 private:
  const ContainerStart& start_;
  DirectoryCheck& check_;
  bool is_stack_ = false;
  bool are_directories_ = true;
  std::vector<LowerLayer> layers_;
  std::multimap<std::uint64_t, std::size_t> by_inode_;
};

}  // namespace assay::agent
