// SPDX-License-Identifier: Apache-2.0
// Fingerprint of a layer as a directory that some runtime unpacked.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/image/file_reading.h"
#include "common/image/fingerprint.h"
#include "common/image/verity.h"

namespace assay::image {

class NodeRecorder;

/// How whiteouts, opaque marks and override attributes are written; follows the mount, never the
/// entries (docs/formats/fingerprint.md, "Deletions").
enum class Dialect {
  kPlain,        ///< no marks at all: a chroot, vfs, native
  kOverlay,      ///< char device 0:0, trusted.overlay.*
  kOverlayUser,  ///< the same with user.overlay.* (mount option userxattr)
  kAufs,         ///< .wh.NAME files
  kFuseOverlay,  ///< both, and override attributes: stores with a mount program
};
/// "plain", "overlay", "overlay-user", "aufs", "fuse-overlayfs".
std::string_view to_string(Dialect dialect);
/// Errors: kInvalidArgument, naming them all.
Result<Dialect> parse_dialect(std::string_view text);

/// `count` ids from `on_disk` on mean `in_image` and upward.
struct IdRange {
  std::uint64_t on_disk = 0;
  std::uint64_t in_image = 0;
  std::uint64_t count = 0;
};
/// What the id on disk is in the image; nothing when it is in no range. No range at all: itself.
std::optional<std::uint64_t> id_in_image(const std::vector<IdRange>& ranges, std::uint64_t on_disk);

/// What a walk read so far.
struct WalkProgress {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  /// CPU time of the walk's hashing thread, where it has one.
  std::chrono::nanoseconds own_thread_time{};
};

struct WalkOptions {
  Dialect dialect = Dialect::kOverlay;
  Scope scope = Scope::kContent;
  std::vector<IdRange> uid_map;  ///< empty: ids are as they are
  std::vector<IdRange> gid_map;
  bool wants_root_form = false;  ///< the digests of the root form as well
  FingerprintLimits limits;
  LayerObserver* observer = nullptr;  ///< may be null; must outlive the walk
  /// Takes the node's own record of the directory, and knows which files need not be read again;
  /// with Scope::kContent. May be null; must outlive the walk.
  NodeRecorder* recorder = nullptr;
  HashThread hash_thread = HashThread::kCaller;
  PageCache page_cache = PageCache::kKeep;
  /// Called now and then and at the end, on the walk's thread; may wait (but for `stop`), and may
  /// be empty.
  std::function<void(const WalkProgress&)> progress;
};

/// Walks the tree below `root_fd` (a directory, opened O_PATH or for reading; not consumed) and
/// fingerprints it. Nothing of the root directory's own metadata counts.
///
/// Thread-safe for different roots. Blocks on disk; checks `stop` between files and between reads.
/// Every path is opened with openat2(RESOLVE_BENEATH|NO_SYMLINKS|NO_XDEV|NO_MAGICLINKS).
/// Errors: kNotFound (removed under the walk), kLimitExceeded, kPermissionDenied, kUnavailable
/// (EIO), kUnsupported (an id outside the map), kCancelled, kCorrupt (changed while it was read).
Result<LayerFingerprint> fingerprint_directory(int root_fd, const WalkOptions& options,
                                               std::stop_token stop);

}  // namespace assay::image
