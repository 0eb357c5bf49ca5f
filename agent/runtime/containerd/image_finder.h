// SPDX-License-Identifier: Apache-2.0
// Which image a stack of containerd's snapshots was made of, by what containerd keeps of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/runtime/containerd/client.h"

namespace assay::agent {

struct FoundImage {
  std::vector<DiffId> diff_ids;  ///< bottom first; they give the chain ID that was asked for
  std::optional<ConfigDigest> config_digest;
  std::optional<ManifestDigest> manifest_digest;
  std::optional<RepoDigest> repo_digest;
  std::vector<Sha256> blobs;  ///< of the layers, as the manifest lists them; empty without one
};

/// The blob that a layer was unpacked from, by the label that unpacking leaves on it. Nothing when
/// none has the label. Source: containerd core/unpack/unpacker.go, label
/// containerd.io/uncompressed.
std::optional<Sha256> find_blob(ContainerdClient& client, const std::string& name_space,
                                const DiffId& diff_id, const CallLimit& limit);

/// Which image is meant, where several have the same layers: by the name of its record, or by the
/// digest of its manifest or index. Either may be "".
struct ImageReference {
  std::string name;
  std::string digest;
};

/// The image whose layers have the chain ID `top`: by the label that unpacking leaves on its
/// configuration. What `reference` leads to is believed only where it leads to such a
/// configuration: a tag moves, a running container does not.
///
/// Everything is read by digest and checked. Nothing when there is none, or containerd does not
/// answer in time.
/// Source: containerd core/unpack/unpacker.go, labels containerd.io/gc.ref.snapshot.SNAPSHOTTER and
/// containerd.io/gc.ref.content.config.
std::optional<FoundImage> find_image(ContainerdClient& client, const std::string& name_space,
                                     const std::string& snapshotter, const ChainId& top,
                                     const ImageReference& reference, const CallLimit& limit);

}  // namespace assay::agent
