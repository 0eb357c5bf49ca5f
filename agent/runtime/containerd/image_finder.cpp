// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containerd/image_finder.h"

#include <map>
#include <set>
#include <utility>

#include "common/image/oci_json.h"

namespace assay::agent {
namespace {

constexpr std::size_t kMaxConfigs = 8;     // images of the same layers
constexpr std::size_t kMaxManifests = 32;  // of one index

std::optional<Sha256> digest_of(const std::string& text) {
  auto digest = Sha256::parse(text);
  return digest && text.starts_with("sha256:") ? std::optional<Sha256>(*digest) : std::nullopt;
}

class Finder {
 public:
  Finder(ContainerdClient& client, const std::string& name_space, const CallLimit& limit)
      : client_(client), name_space_(name_space), limit_(limit) {}

  std::optional<FoundImage> find(const std::string& snapshotter, const ChainId& top,
                                 const ImageReference& reference) {
    read_configs(snapshotter, top);
    if (configs_.empty()) return std::nullopt;
    FoundImage image;
    image.diff_ids = configs_.begin()->second;  // equal in all: they have one chain ID
    follow(reference, image);
    // Without a record that leads to one of them, only a single one can be meant.
    if (!image.config_digest && configs_.size() == 1)
      image.config_digest = ConfigDigest{configs_.begin()->first.bytes};
    return image;
  }

 private:
  void read_configs(const std::string& snapshotter, const ChainId& top) {
    const auto digests = client_.content_with_label(
        name_space_, "containerd.io/gc.ref.snapshot." + snapshotter, top.text(), limit_);
    if (!digests) return;
    std::set<Sha256> read;
    for (const std::string& text : *digests) {
      const auto digest = digest_of(text);
      if (!digest || read.size() >= kMaxConfigs || !read.insert(*digest).second) continue;
      const auto bytes = client_.blob(name_space_, *digest, limit_);
      if (!bytes) continue;
      auto config = image::parse_image_config(*bytes);
      if (config && chain_of(config->diff_ids) == top)
        configs_.emplace(*digest, std::move(config->diff_ids));
    }
  }

  static std::optional<ChainId> chain_of(const std::vector<DiffId>& diff_ids) {
    std::optional<ChainId> chain;
    for (const DiffId& diff_id : diff_ids)
      chain = image::chain_id_of(chain, diff_id);
    return chain;
  }

  /// To the manifest of one of the configurations.
  void follow(const ImageReference& reference, FoundImage& image) {
    std::string text = reference.digest;
    if (!reference.name.empty()) {
      const auto target = client_.image(name_space_, reference.name, limit_);
      if (target) text = *target;
    }
    const auto digest = digest_of(text);
    if (digest && (take_manifest(*digest, image) || take_index(*digest, image)))
      image.repo_digest = RepoDigest{digest->bytes};
  }

  bool take_index(const Sha256& digest, FoundImage& image) {
    const auto bytes = client_.blob(name_space_, digest, limit_);
    const auto manifests =
        bytes ? image::parse_index(*bytes) : Result<std::vector<image::Descriptor>>(bytes.error());
    if (!manifests) return false;
    std::size_t tried = 0;
    for (const image::Descriptor& manifest : *manifests) {
      if (manifest.is_no_image || ++tried > kMaxManifests) continue;
      if (take_manifest(manifest.digest, image)) return true;
    }
    return false;
  }

  bool take_manifest(const Sha256& digest, FoundImage& image) {
    const auto bytes = client_.blob(name_space_, digest, limit_);  // other platforms are not there
    if (!bytes) return false;
    const auto manifest = image::parse_manifest(*bytes);
    if (!manifest || !configs_.contains(manifest->config.digest)) return false;
    image.manifest_digest = ManifestDigest{digest.bytes};
    image.config_digest = ConfigDigest{manifest->config.digest.bytes};
    for (const image::Descriptor& layer : manifest->layers)
      image.blobs.push_back(layer.digest);
    return true;
  }

  ContainerdClient& client_;
  const std::string& name_space_;
  const CallLimit& limit_;
  std::map<Sha256, std::vector<DiffId>> configs_;
};

}  // namespace

std::optional<Sha256> find_blob(ContainerdClient& client, const std::string& name_space,
                                const DiffId& diff_id, const CallLimit& limit) {
  const auto digests =
      client.content_with_label(name_space, "containerd.io/uncompressed", diff_id.text(), limit);
  return digests && !digests->empty() ? digest_of(digests->front()) : std::nullopt;
}

std::optional<FoundImage> find_image(ContainerdClient& client, const std::string& name_space,
                                     const std::string& snapshotter, const ChainId& top,
                                     const ImageReference& reference, const CallLimit& limit) {
  return Finder(client, name_space, limit).find(snapshotter, top, reference);
}

}  // namespace assay::agent
