// SPDX-License-Identifier: Apache-2.0
// Shape, content and deletions digests of one layer: docs/formats/fingerprint.md is the definition.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/digest.h"
#include "common/image/entry.h"
#include "common/image/layer_observer.h"

namespace assay::image {

/// Part of every digest and of the layer cache's key; bumped whenever a digest could change.
inline constexpr std::uint32_t kFingerprintVersion = 2;

/// Limits on what one layer may hold; over one of them is kLimitExceeded, never a shortened digest.
struct FingerprintLimits {
  std::uint64_t max_entries = 2'000'000;
  std::uint64_t max_content_bytes = 64ULL << 30;
  std::uint32_t max_depth = 128;                  ///< path components
  std::uint32_t max_path_bytes = 4096;            ///< PATH_MAX
  std::uint32_t max_link_bytes = 4095;            ///< of a link's target; PATH_MAX without its NUL
  std::uint32_t max_xattr_bytes = 64 << 10;       ///< of one value; XATTR_SIZE_MAX
  std::uint64_t max_metadata_bytes = 512U << 20;  ///< paths, targets and attributes, in memory
};

enum class Scope { kShape, kContent };  ///< kContent computes the shape as well

/// What a layer takes away from the layers below it, in every dialect (whiteouts, opaque marks).
struct Deletions {
  std::vector<std::string> whiteouts;  ///< paths that are deleted
  std::vector<std::string> opaques;  ///< directories whose lower content is hidden; "" is the root
};

/// The digests of a whole root: of a directory that some store copied an image's layers into, or of
/// the layers put together. Never equal to those of a layer.
struct RootFingerprint {
  ShapeDigest shape;
  std::optional<ContentDigest> content;  ///< with Scope::kContent
  std::uint64_t entries = 0;             ///< records
  std::uint64_t content_bytes = 0;
};

/// A layer with devices as a runtime unpacks it in a user namespace: without them.
struct DevicelessFingerprint {
  ShapeDigest shape;
  std::optional<ContentDigest> content;  ///< with Scope::kContent
};

struct LayerFingerprint {
  ShapeDigest shape;
  std::optional<ContentDigest> content;      ///< with Scope::kContent
  std::optional<DeletionsDigest> deletions;  ///< nothing when some kind of mark could not be seen
  std::uint64_t entries = 0;                 ///< records, directories included
  std::uint64_t content_bytes = 0;           ///< sum of the sizes of all files
  /// Overlay redirect or metacopy marks: caps the rung at shape. Complete with Scope::kContent; at
  /// kShape metacopy marks are not looked for.
  bool has_redirects = false;
  bool is_runtime_injected = false;     ///< docker's -init layer, told by its content
  std::optional<RootFingerprint> root;  ///< when it was asked for
};

/// Whether the extended attribute `name` is left out of every digest: security labels, trusted.*,
/// overlay's own (docs/formats/fingerprint.md, "Ignored attributes").
bool is_ignored_xattr(std::string_view name);

/// Collects the entries of one layer in any order and computes the digests.
/// Later entries replace earlier ones of the same path, as unpackers do; a non-directory replaces
/// what was below it; parents that nobody named become directories. A symbolic link among the
/// parents is followed inside the layer, when it leads to a directory. Not thread-safe.
class FingerprintBuilder {
 public:
  explicit FingerprintBuilder(FingerprintLimits limits = {});
  FingerprintBuilder(FingerprintBuilder&&) noexcept;
  ~FingerprintBuilder();

  /// Brings the entry into canonical form (clears what does not apply to its type, clamps the time,
  /// leaves ignored xattrs out) and takes it.
  /// Errors: kCorrupt (empty path, ".", "..", NUL; a parent is no directory or a link that leads to
  /// none), kLimitExceeded.
  Result<void> add(Entry entry);
  /// The same for a file whose digest comes later, as element `digest_slot` of finish()'s
  /// `digests`.
  Result<void> add(Entry entry, std::size_t digest_slot);
  /// A tar's hard link: the record is that of `target`, which may come later in the stream. A link
  /// to something already there gives it the owner, mode and time of the link's own `header`, as
  /// unpackers do.
  Result<void> add_hard_link(const std::string& path, std::string target,
                             const Entry* header = nullptr);
  Result<void> add_whiteout(std::string path);
  Result<void> add_opaque(std::string directory);
  /// Says that opaque marks or whiteouts could not be seen here: no deletions digest.
  void deletions_not_visible();
  void saw_redirect();
  /// Asks for the digests of the root form as well.
  void want_root_form();

  /// Sorts, resolves hard links, computes, and shows every record to `observer` where there is one.
  /// Errors: kCorrupt (hard link to nothing, or in a circle).
  Result<LayerFingerprint> finish(Scope scope, std::span<const FileDigest> digests = {},
                                  LayerObserver* observer = nullptr) &&;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace assay::image
