// SPDX-License-Identifier: Apache-2.0
// An image as a file: OCI layout folder, OCI archive, docker archive, or one plain
// directory/rootfs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "common/base/digest.h"
#include "common/base/result.h"
#include "common/image/directory.h"
#include "common/image/fingerprint.h"

namespace assay::image {

enum class SourceKind { kOciLayout, kOciArchive, kDockerArchive, kDirectory };
std::string_view to_string(SourceKind kind);

struct ImageLayer {
  std::optional<DiffId>
      diff_id;  ///< recomputed from the bytes and equal to the config's; none for a directory
  std::optional<ChainId> chain_id;  ///< of this layer and all below it
  std::string media_type;           ///< as the manifest says, empty for docker archives
  LayerFingerprint fingerprint;
  std::optional<DevicelessFingerprint> deviceless;  ///< when it holds devices, if asked for
};

struct Image {
  SourceKind kind = SourceKind::kOciArchive;
  std::string reference;        ///< the archive's own name for it (annotations, RepoTags), a claim
  std::string platform;         ///< "linux/amd64", "" when the source does not say
  std::string manifest_digest;  ///< "sha256:…", "" when there is none
  std::string config_digest;    ///< the image id, "" for a directory
  std::string created;          ///< the config's own time, a claim
  std::vector<ImageLayer> layers;  ///< bottom first
  /// Of all layers together, when it was asked for; none for a directory in another dialect than
  /// plain, and when the layers hold more entries together than one layer may.
  std::optional<RootFingerprint> root;
};

/// How far reading an image has come.
struct ReadProgress {
  std::uint64_t bytes = 0;        ///< of the file or files as they lie; of a directory's files
  std::uint64_t total_bytes = 0;  ///< 0 when it is not known: directories
  std::uint64_t files = 0;        ///< directories only
  std::size_t layer = 0;          ///< which one is read, from 1; 0 while an archive is listed
  std::size_t layers = 0;
};

struct ImageOptions {
  std::string platform;  ///< "os/arch[/variant]" to pick from an index; empty: the only one, else
                         ///< this machine's
  Scope scope = Scope::kContent;
  Dialect dialect = Dialect::kPlain;  ///< of a directory
  std::vector<IdRange> uid_map;       ///< of a directory; empty: ids are as they are
  std::vector<IdRange> gid_map;
  /// The layers without devices and the root form as well; keeps all records in memory.
  bool wants_other_forms = false;
  FingerprintLimits limits;
  /// Of all layers: decompressed bytes, and bytes of files with their holes.
  std::uint64_t max_image_bytes = 256ULL << 30;
  /// Called now and then; may be empty.
  std::function<void(const ReadProgress&)> progress;
  /// Who looks on while the layer of this place (from 0, bottom first) is read, null for nobody;
  /// may be empty. Of equal layers only the first is read. An observer must outlive the call.
  std::function<LayerObserver*(std::size_t layer)> observer_of;
  /// Called for every entry of all layers together, by path, once they are read; may be empty.
  /// Keeps all records in memory; is not called when the layers hold more entries together than one
  /// layer may, or with `only_layer`. Files have a digest with Scope::kContent.
  std::function<void(const Entry&)> on_merged;
  /// Reads this layer alone; the others keep an empty fingerprint.
  std::optional<std::size_t> only_layer;
};

/// Opens `source`, tells its kind from its content, verifies every blob against its digest and
/// every layer against its diff ID, and fingerprints the layers.
///
/// `source`: a path; `dir:PATH`, `oci:PATH`, `oci-archive:PATH`, `docker-archive:PATH` force a
/// kind. Thread-safe. Blocks; checks `stop`. Errors: kNotFound, kInvalidArgument (not an image; a
/// name in a registry, daemon or store: says how to fetch it), kCorrupt (truncated, digest
/// mismatch, lying names), kLimitExceeded, kUnsupported (compression). Source: OCI image-spec v1.1
/// image-layout.md, manifest.md, config.md, layer.md; docker save format.
Result<Image> read_image(const std::string& source, const ImageOptions& options,
                         std::stop_token stop);

}  // namespace assay::image
