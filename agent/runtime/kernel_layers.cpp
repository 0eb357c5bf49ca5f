// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/kernel_layers.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>

namespace assay::agent {
namespace {

// linux/magic.h
constexpr std::uint32_t kMagicFuse = 0x65735546;
constexpr std::uint32_t kMagicErofs = 0xE0F5E1E2;

LowerLayer root_of(const ContainerStart& start) {
  const RootIdentity& root = start.key.root;
  LowerLayer layer;
  layer.device = root.device;
  layer.inode = root.inode;
  layer.generation = root.generation;
  layer.magic = root.magic;
  return layer;
}

/// composefs and lazy snapshotters mount images where a store has folders: nothing can be compared.
bool is_directory(const LowerLayer& layer) {
  return !layer.is_data_only && layer.magic != kMagicFuse && layer.magic != kMagicErofs;
}

}  // namespace

KernelLayers::KernelLayers(const ContainerStart& start, DirectoryCheck& check)
    : start_(start), check_(check), is_stack_(start.is_overlay) {
  layers_ = is_stack_ ? start.layers : std::vector{root_of(start)};
  are_directories_ = !layers_.empty() && std::all_of(layers_.begin(), layers_.end(), is_directory);
  for (std::size_t i = 0; i < layers_.size(); ++i)
    by_inode_.emplace(layers_[i].inode, i);
}

std::optional<std::size_t> KernelLayers::place_of(int fd) const {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) != 0)
    return std::nullopt;
  const auto [first, last] = by_inode_.equal_range(status.stx_ino);
  for (auto candidate = first; candidate != last; ++candidate)
    if (check_.is_layer(fd, layers_[candidate->second])) return candidate->second;
  return std::nullopt;
}

bool KernelLayers::is_runs_own(int fd) const {
  return is_stack_ ? check_.is_upper(fd, start_.key.root) : check_.is_layer(fd, layers_.front());
}

bool KernelLayers::is_anothers(int fd, bool is_upper) const {
  if (is_upper != is_stack_) return false;  // fuse-overlayfs: its root is no directory of a store
  struct statx status {};
  return ::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) == 0 &&
         status.stx_ino != start_.key.root.inode;
}

}  // namespace assay::agent
