// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containerd/claims.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "agent/runtime/annotations.h"
#include "agent/runtime/cgroup_path.h"
#include "agent/runtime/containerd/image_finder.h"
#include "agent/runtime/containerd/labels.h"
#include "agent/runtime/containerd/mount_options.h"
#include "agent/runtime/store_folder.h"
#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr const char* kSnapshots = "containerd's snapshots";
constexpr const char* kDockersNamespace = "moby";
constexpr const char* kDefaultSnapshotter = "overlayfs";
// Paths in its answers are the host's.
constexpr const char* kHostRoot = "/proc/1/root";
// Below containerd's root, by the names of its plugins.
constexpr const char* kSnapshotterFolder = "/io.containerd.snapshotter.v1.";
constexpr const char* kContentFolder = "io.containerd.content.v1.content/blobs/sha256/";
constexpr std::size_t kMaxSpecBytes = 1U << 20;
constexpr int kPauseShare = 10;
constexpr std::size_t kMaxIdentifier = 76;

/// Who may answer on the socket decides what is said: root alone, and whom root let in.
bool is_roots_socket(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && status.st_uid == 0 &&
         (status.st_mode & S_IWOTH) == 0 &&
         is_only_roots_to_write(std::filesystem::path(path).parent_path());
}

std::optional<ChainId> chain_of(const std::string& key) {
  auto chain = ChainId::parse(key);
  return chain && key.starts_with("sha256:") ? std::optional<ChainId>(*chain) : std::nullopt;
}

/// What containerd takes for a namespace or an id; anything else must not become a gRPC header,
/// which ends the program when it holds a byte that HTTP does not allow there. Source: containerd
/// pkg/identifiers.
bool is_identifier(const std::string& text) {
  const auto is_allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  return !text.empty() && text.size() <= kMaxIdentifier &&
         std::all_of(text.begin(), text.end(), is_allowed);
}

/// One look-up on one socket.
class Reader {
 public:
  Reader(ContainerdClient& client, const ClaimTask& task, const KernelLayers& kernel,
         CallLimit limit)
      : client_(client), task_(task), kernel_(kernel), limit_(std::move(limit)) {
    record_.store = "containerd's record";
  }

  /// Nothing when the socket knows no such container. `is_late` when it did not answer in time.
  std::optional<StoreRecord> read() {
    const auto container = find();
    if (!container) return std::nullopt;
    // docker writes its own record and leaves this one bare: its snapshot has the container's id.
    key_ = container->snapshot_key.empty() ? task_.names.container_id : container->snapshot_key;
    snapshotter_ = container->snapshotter.empty() ? kDefaultSnapshotter : container->snapshotter;
    record_.names.image = name_of_image(container->image, "");
    const bool is_spec_read = container->spec.size() <= kMaxSpecBytes &&
                              read_spec_annotations(container->spec, record_.names);
    const std::string sandbox = pods_sandbox(record_.names);
    reference_ = {container->image, task_.names.runtime == "docker" ? task_.names.image_id : ""};
    read_snapshot();
    // Without its specification nobody knows whether it is in a pod.
    if (is_spec_read && !is_late_) read_all_labels(*container, sandbox);
    return std::move(record_);
  }

  bool is_late() const { return is_late_; }

 private:
  template <typename T>
  bool is_answered(const Result<T>& result) {
    if (!result && result.error().code == ErrorCode::kUnavailable) is_late_ = true;
    return result.has_value();
  }

  std::optional<ContainerdContainer> find() {
    std::vector<std::string> spaces;
    if (task_.names.runtime == "docker") {
      spaces = {kDockersNamespace};
    } else if (const auto ctr = parse_ctr_cgroup(task_.start.cgroup_path);
               ctr && !parse_cgroup_path(task_.start.cgroup_path)) {
      spaces = {ctr->name_space};
    } else {
      spaces = {"k8s.io", "default"};
      const auto all = client_.namespaces(limit_);
      if (!is_answered(all)) return std::nullopt;
      for (const std::string& space : *all)
        if (std::find(spaces.begin(), spaces.end(), space) == spaces.end()) spaces.push_back(space);
    }
    for (const std::string& space : spaces) {
      if (!is_identifier(space)) continue;
      auto container = client_.container(space, task_.names.container_id, limit_);
      if (!is_answered(container)) {
        if (is_late_) return std::nullopt;
        continue;
      }
      name_space_ = space;
      return std::move(*container);
    }
    return std::nullopt;
  }

  /// What cannot be told of the pod, or not in time, is left out.
  void read_all_labels(const ContainerdContainer& container, const std::string& sandbox) {
    if (sandbox.empty()) {
      read_container_labels(container, record_.names);
      return;
    }
    if (sandbox == task_.names.container_id) {
      read_pod_labels(container, record_.names);
    } else if (is_identifier(sandbox)) {
      const auto pod = client_.container(name_space_, sandbox, limit_);
      if (pod) read_pod_labels(*pod, record_.names);
    }
    read_kubelets_labels(container, record_.names);
  }

  void read_snapshot() {
    auto host = StoreFolder::open(kHostRoot);
    if (!host) host = StoreFolder::open("/");
    const auto mounts = client_.mounts(name_space_, snapshotter_, key_, limit_);
    if (!is_answered(mounts) || mounts->size() != 1 || !host) return;
    const auto overlay = overlay_folders(mounts->front());
    const std::string own = overlay ? overlay->upper : mounts->front().source;
    const auto fd = host->open_at_hand(own);
    // Another root in the same cgroup, e.g. of a container in the container: not in this record.
    if (!fd || !kernel_.is_runs_own(fd->get())) return;
    host->look_at(own);
    if (const std::size_t at = own.find(kSnapshotterFolder); at != std::string::npos)
      content_root_ = (host->path() == "/" ? "" : host->path()) + own.substr(0, at);
    std::vector<RecordedLayer> layers;
    if (!read_chain(layers)) return;
    if (kernel_.is_stack() && !place(layers, overlay, *host)) return;
    read_image(layers);
    record_.is_for_display = host->is_others_to_write();
    record_.is_complete = true;
    record_.layers = kernel_.is_stack() ? std::move(layers) : merged(layers);
  }

  /// The committed snapshots below the container's own, bottom first. False when they cannot be
  /// told.
  bool read_chain(std::vector<RecordedLayer>& layers) {
    std::set<std::string> seen{key_};
    auto parent = client_.snapshot_parent(name_space_, snapshotter_, key_, limit_);
    while (is_answered(parent) && !parent->empty()) {
      const std::string key = *parent;
      if (!seen.insert(key).second || layers.size() >= kMaxLayers) {
        record_.problems.push_back(std::string(kSnapshots) +
                                   ": the chain of parents of the container's snapshot has no end");
        return false;
      }
      RecordedLayer layer;
      layer.chain_id = chain_of(key);  // none: a snapshot that the runtime made
      layers.push_back(layer);
      parent = client_.snapshot_parent(name_space_, snapshotter_, key, limit_);
    }
    std::reverse(layers.begin(), layers.end());
    return parent.has_value();
  }

  /// Which directories the snapshots are: containerd lists them in the mount, in their order. False
  /// when some of them cannot be looked at now.
  bool place(std::vector<RecordedLayer>& layers, const std::optional<OverlayFolders>& overlay,
             StoreFolder& host) {
    if (!overlay) return false;
    if (overlay->lowers.size() != layers.size()) {
      record_.problems.push_back(std::string(kSnapshots) + ": the container's snapshot has " +
                                 std::to_string(layers.size()) + " parents, its mount " +
                                 std::to_string(overlay->lowers.size()) + " lower directories");
      return false;
    }
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const auto fd = host.open_at_hand(overlay->lowers[i]);
      if (!fd && fd.error().code == ErrorCode::kUnavailable) return false;
      if (fd) layers[i].place = kernel_.place_of(fd->get());
      if (layers[i].place) host.look_at(overlay->lowers[i]);
    }
    return true;
  }

  void read_image(std::vector<RecordedLayer>& layers) {
    // What lies above the image's layers is the runtime's own: docker's -init layer, or a copy with
    // other owners for a user namespace.
    std::size_t count = layers.size();
    while (count > 0 && !layers[count - 1].chain_id)
      --count;
    if (count == 0) return;
    const auto found = find_image(client_, name_space_, snapshotter_, *layers[count - 1].chain_id,
                                  reference_, limit_);
    if (!found) return;
    record_.names.config_digest = found->config_digest;
    record_.names.manifest_digest = found->manifest_digest;
    record_.names.repo_digest = found->repo_digest;
    // The chain ID at the top is right, so those below must be, too.
    std::vector<RecordedLayer> configured;
    for (const DiffId& diff_id : found->diff_ids)
      configured.push_back({diff_id, {}, {}, {}});
    derive_chain_ids(configured);
    for (std::size_t i = 0; i < std::max(count, configured.size()); ++i) {
      if (i < count && i < configured.size() && layers[i].chain_id == configured[i].chain_id) {
        layers[i].diff_id = configured[i].diff_id;
        layers[i].stream = stream_of(*found, i);
        continue;
      }
      record_.problems.push_back(std::string(kSnapshots) + ": layer " + std::to_string(i + 1) +
                                 " has another chain ID than the image's configuration gives");
      return;
    }
  }

  /// In the content store beside the snapshotter. Without a manifest by the label that unpacking
  /// leaves; a blob that was never compressed has the layer's own digest.
  StreamPlace stream_of(const FoundImage& image, std::size_t layer) {
    StreamPlace stream;
    if (content_root_.empty()) {
      stream.missing = "containerd's snapshots lie elsewhere than its content";
      return stream;
    }
    const DiffId& diff_id = image.diff_ids[layer];
    std::optional<Sha256> blob;
    if (image.blobs.size() == image.diff_ids.size()) blob = image.blobs[layer];
    if (!blob) blob = find_blob(client_, name_space_, diff_id, limit_);
    return {StreamPlace::Kind::kBlob, content_root_,
            std::string(kContentFolder) + blob.value_or(Sha256{diff_id.bytes}).hex(), ""};
  }

  ContainerdClient& client_;
  const ClaimTask& task_;
  const KernelLayers& kernel_;
  const CallLimit limit_;
  StoreRecord record_;
  std::string name_space_;
  std::string snapshotter_;
  std::string key_;
  ImageReference reference_;
  std::string content_root_;  ///< containerd's root as this program reaches it, "" when not known
  bool is_late_ = false;
};

}  // namespace

ContainerdClaims::ContainerdClaims(ContainerdOptions options) : options_(std::move(options)) {
  for (const std::string& path : options_.sockets)
    sockets_.push_back({path, ContainerdClient(path)});
}

std::optional<StoreRecord> ContainerdClaims::read(const ClaimTask& task, const KernelLayers& kernel,
                                                  const std::stop_token& stop) {
  if (task.names.runtime != "containerd" && task.names.runtime != "docker") return std::nullopt;
  if (!is_identifier(task.names.container_id)) return std::nullopt;
  for (Socket& socket : sockets_) {
    const auto began = std::chrono::steady_clock::now();
    if (stop.stop_requested() || began < socket.paused_until) continue;
    Reader reader(socket.client, task, kernel,
                  {began + options_.deadline, options_.longest_call, stop});
    auto record = reader.read();
    if (reader.is_late()) {
      const auto ended = std::chrono::steady_clock::now();
      socket.paused_until =
          ended + std::clamp<std::chrono::steady_clock::duration>(
                      kPauseShare * (ended - began), std::chrono::seconds(1), options_.max_pause);
      continue;  // half an answer is none
    }
    if (!record) continue;
    record->is_for_display |= !is_roots_socket(socket.path);
    return record;
  }
  return std::nullopt;
}

}  // namespace assay::agent
