// SPDX-License-Identifier: Apache-2.0
// Compares what a container sees with the layers of its base, path by path, both read now.
#pragma once

#include <chrono>
#include <cstdint>
#include <stop_token>
#include <vector>

#include "agent/core/ports.h"
#include "common/base/result.h"
#include "common/catalog/view.h"
#include "common/image/directory.h"

namespace assay::agent {

struct ViewLimits {
  std::uint64_t max_paths = 500'000;
  std::chrono::milliseconds max_time = std::chrono::seconds(30);
  std::uint32_t max_depth = 128;
};

/// One layer of the stack, opened.
struct SeenLayer {
  int fd = -1;
  bool is_base = false;
  /// What it deletes is known to be what the base's layer deletes; of base layers.
  bool applies_marks = false;
  bool is_injected = false;
  bool is_id_mapped = false;  ///< owners are other ones in the merged view
};

struct SeenRoot {
  std::vector<SeenLayer> layers;  ///< bottom first; those of the base first
  int root_fd = -1;
  int upper_fd = -1;  ///< what the container wrote; -1: there is none, or it could not be opened
  const std::vector<CoveringMount>& mounts;
  image::Dialect dialect = image::Dialect::kOverlay;
  bool is_one_device = false;  ///< of layers and upper: then overlayfs shows their inode numbers
};

/// For each path of the base's layers, merged from bottom to top: the root must show the layer's
/// own inode with its mode, owner, size and times, the change time included, which nobody but the
/// kernel sets: a file that was copied up in place keeps its number. What differs is looked up in
/// the upper and in the layers above, to say why. Paths that runtimes put into every container do
/// not count. Of the folders that none but root writes to, loose modes and ACLs count as well, and
/// of /etc/ld.so.preload that it is there.
///
/// Holds one descriptor per layer and level. Never crosses a mount, follows no link, opens no file.
/// `checked` is left to the caller. Blocks on disk; checks `stop` between folders.
/// Errors: kLimitExceeded, kPermissionDenied, kUnavailable, kCancelled.
/// Source: fs/overlayfs/inode.c ovl_getattr; Documentation/filesystems/overlayfs.rst "Inode
/// properties".
Result<catalog::View> look_at_view(const SeenRoot& root, const ViewLimits& limits,
                                   const std::stop_token& stop);

/// The quick look before the base is known: which mounts cover paths of the stack's layers.
Result<catalog::View> look_at_mounts(const SeenRoot& root);

}  // namespace assay::agent
