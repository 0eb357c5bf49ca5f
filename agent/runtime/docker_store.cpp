// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/docker_store.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/runtime/bounded_json.h"
#include "common/base/encoding.h"
#include "common/base/sha256.h"
#include "common/image/oci_json.h"

namespace assay::agent {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxConfigBytes = 1U << 20;
constexpr std::size_t kMaxRepositoriesBytes = 8U << 20;
constexpr const char* kLayerdb = "docker's layerdb";
constexpr const char* kImagedb = "docker's imagedb";

template <typename D>
std::optional<D> digest_of(const std::string& text) {
  auto digest = D::parse(text);
  // Only with its algorithm: a bare id may be any.
  return digest && text.starts_with("sha256:") ? std::optional<D>(*digest) : std::nullopt;
}

/// What layerdb/mounts says of a container.
struct Mount {
  std::string mount_id;
  std::string init_id;  ///< "" when there is no -init layer
  std::string parent;   ///< chain ID of the image's top layer, "" for an image without layers
};

class DockerStore {
 public:
  DockerStore(StoreFolder& root, std::string container_id, const KernelLayers& kernel)
      : root_(root), container_id_(std::move(container_id)), kernel_(kernel) {
    record_.store = "docker's record";
  }

  std::optional<StoreRecord> read();

 private:
  bool read_container();
  std::optional<Mount> read_mount();
  void read_layers(const Mount& mount);
  std::optional<std::vector<RecordedLayer>> walk_chain(const std::string& top);
  std::optional<RecordedLayer> read_layer(const ChainId& chain, std::string& parent);
  void check_chain_ids(std::vector<RecordedLayer> layers);
  void read_image(const std::vector<RecordedLayer>& layers);
  void read_repositories();
  std::optional<std::size_t> place_of(const std::string& folder);
  std::string folder_of(const std::string& id) const;
  std::string small_file(const std::string& path);
  void complain(const char* subject, const std::string& reason) {
    record_.problems.push_back(std::string(subject) + ": " + reason);
  }

  StoreFolder& root_;
  const std::string container_id_;
  const KernelLayers& kernel_;
  StoreRecord record_;
  std::string driver_;
  std::string image_root_;  ///< image/DRIVER
};

std::optional<StoreRecord> DockerStore::read() {
  if (!read_container()) return std::nullopt;
  // Of other drivers, and with containerd's store, docker keeps no layers that could be read here.
  if (driver_ == "overlay2" || driver_ == "vfs") {
    const auto mount = read_mount();
    const UniqueFd own = mount ? root_.open_directory(folder_of(mount->mount_id)) : UniqueFd();
    // Another root in the same cgroup, e.g. of a container in the container: not in this record.
    record_.is_anothers = own && kernel_.is_anothers(own.get(), driver_ == "overlay2");
    if (own && kernel_.is_runs_own(own.get())) read_layers(*mount);
  }
  record_.is_for_display = root_.is_others_to_write();
  return std::move(record_);
}

bool DockerStore::read_container() {
  const auto text = root_.read("containers/" + container_id_ + "/config.v2.json", kMaxConfigBytes);
  const auto config = text ? parse_bounded_json(*text) : std::nullopt;
  if (!config) return false;
  driver_ = text_at(*config, "Driver", 64);
  image_root_ = "image/" + driver_;
  read_docker_image(*config, record_.names);
  return true;
}

std::optional<Mount> DockerStore::read_mount() {
  const std::string folder = image_root_ + "/layerdb/mounts/" + container_id_ + "/";
  Mount mount{small_file(folder + "mount-id"), small_file(folder + "init-id"),
              small_file(folder + "parent")};
  if (!is_safe_name(mount.mount_id)) return std::nullopt;
  if (!mount.init_id.empty() && !is_safe_name(mount.init_id)) return std::nullopt;
  return mount;
}

void DockerStore::read_layers(const Mount& mount) {
  auto layers = walk_chain(mount.parent);
  if (!layers) return;
  check_chain_ids(*layers);
  read_image(*layers);
  if (record_.names.config_digest) read_repositories();
  record_.is_complete = true;
  record_.layers = std::move(*layers);
  if (kernel_.is_stack()) {
    if (!mount.init_id.empty())  // docker's own layer on top of the image's
      record_.layers.push_back({{}, {}, place_of(folder_of(mount.init_id)), {}});
    return;
  }
  record_.layers = merged(record_.layers);  // vfs: one copy of everything
}

/// Bottom first; nothing when the chain is broken.
std::optional<std::vector<RecordedLayer>> DockerStore::walk_chain(const std::string& top) {
  std::vector<RecordedLayer> layers;
  std::set<std::string> seen;
  for (std::string name = top; !name.empty();) {
    const auto chain = digest_of<ChainId>(name);
    if (!chain) {
      complain(kLayerdb, "a parent is no chain ID: " + escape_untrusted(name, 80));
      return std::nullopt;
    }
    if (!seen.insert(name).second || layers.size() >= kMaxLayers) {
      complain(kLayerdb, "the chain of parents of the container's layers has no end");
      return std::nullopt;
    }
    std::string parent;
    auto layer = read_layer(*chain, parent);
    if (!layer) return std::nullopt;
    layers.push_back(std::move(*layer));
    name = std::move(parent);
  }
  std::reverse(layers.begin(), layers.end());
  return layers;
}

std::optional<RecordedLayer> DockerStore::read_layer(const ChainId& chain, std::string& parent) {
  const std::string folder = image_root_ + "/layerdb/sha256/" + chain.hex() + "/";
  RecordedLayer layer;
  layer.chain_id = chain;
  layer.diff_id = digest_of<DiffId>(small_file(folder + "diff"));
  const std::string cache_id = small_file(folder + "cache-id");
  parent = small_file(folder + "parent");
  if (!layer.diff_id || !is_safe_name(cache_id)) {
    complain(kLayerdb, "there is no whole entry for " + chain.text() +
                           ", which the container's layers lead to");
    return std::nullopt;
  }
  if (kernel_.is_stack()) layer.place = place_of(folder_of(cache_id));
  layer.stream = {StreamPlace::Kind::kTarSplit, root_.path(), folder + "tar-split.json.gz", ""};
  return layer;
}

/// An entry is named by the chain ID that follows from the diff IDs: whoever edits one of them
/// cannot make them agree again.
void DockerStore::check_chain_ids(std::vector<RecordedLayer> layers) {
  const std::vector<RecordedLayer> named = layers;
  derive_chain_ids(layers);
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (layers[i].chain_id == named[i].chain_id) continue;
    complain(kLayerdb, "the diff IDs of the layers up to layer " + std::to_string(i + 1) +
                           " do not give the chain ID " + named[i].chain_id->text() +
                           " that its entry is named by");
    return;
  }
}

void DockerStore::read_image(const std::vector<RecordedLayer>& layers) {
  const auto id = digest_of<ConfigDigest>(record_.names.image_id);
  if (!id) return;
  const auto text = root_.read(image_root_ + "/imagedb/content/sha256/" + id->hex(), kMaxImageJson);
  if (!text) return;  // an image may go while its containers stay
  if (sha256(*text).bytes != id->bytes) {
    complain(kImagedb, "the configuration of image " + id->text() + " has other bytes");
    return;
  }
  record_.names.config_digest = *id;
  if (const auto config = image::parse_image_config(*text))
    compare_diff_ids(config->diff_ids, layers, kImagedb, record_);
}

/// The digest that the image was pulled by, and its name where the container's record has none.
void DockerStore::read_repositories() {
  const auto text = root_.read(image_root_ + "/repositories.json", kMaxRepositoriesBytes);
  const auto parsed = text ? parse_bounded_json(*text) : std::nullopt;
  if (!parsed) return;
  const json& repositories = member(*parsed, "Repositories");
  if (!repositories.is_object()) return;
  std::set<std::string> digests;
  std::vector<std::string> names;
  for (const auto& [repository, references] : repositories.items()) {
    if (!references.is_object()) continue;
    for (const auto& [reference, image] : references.items()) {
      const auto* image_id = image.get_ptr<const json::string_t*>();
      if (image_id == nullptr || *image_id != record_.names.image_id) continue;
      const std::size_t at = reference.find('@');
      if (at == std::string::npos)
        names.push_back(reference);
      else
        digests.insert(reference.substr(at + 1));
    }
  }
  // One answer is an answer; of several nobody knows which one was meant.
  if (digests.size() == 1) record_.names.repo_digest = digest_of<RepoDigest>(*digests.begin());
  if (record_.names.image.empty() && names.size() == 1) record_.names.image = names.front();
}

std::string DockerStore::folder_of(const std::string& id) const {
  return driver_ == "vfs" ? "vfs/dir/" + id : "overlay2/" + id + "/diff";
}

std::optional<std::size_t> DockerStore::place_of(const std::string& folder) {
  const UniqueFd fd = root_.open_directory(folder);
  return fd ? kernel_.place_of(fd.get()) : std::nullopt;
}

std::string DockerStore::small_file(const std::string& path) {
  return root_.read(path, kMaxSmallFile).value_or("");
}

}  // namespace

void read_docker_image(const json& config, ContainerNames& names) {
  names.image_id = text_at(config, "Image");
  names.image = name_of_image(text_at(member(config, "Config"), "Image"), names.image_id);
  const json& manifest = member(config, "ImageManifest");
  image::Descriptor descriptor;
  descriptor.media_type = text_at(manifest, "mediaType");
  if (descriptor.is_manifest())
    names.manifest_digest = digest_of<ManifestDigest>(text_at(manifest, "digest"));
}

std::optional<StoreRecord> read_docker_store(StoreFolder& root, const std::string& container_id,
                                             const KernelLayers& kernel) {
  if (!is_safe_name(container_id)) return std::nullopt;
  return DockerStore(root, container_id, kernel).read();
}

}  // namespace assay::agent
