// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/containers_storage.h"

#include <algorithm>
#include <set>
#include <utility>

#include "agent/runtime/bounded_json.h"
#include "agent/runtime/image_list.h"
#include "common/base/encoding.h"

namespace assay::agent {
namespace {

constexpr const char* kLayers = "containers/storage's layers.json";
constexpr const char* kImages = "containers/storage's images.json";
constexpr const char* kDrivers[] = {"overlay", "vfs"};
constexpr const char* kLayerFiles[] = {"layers.json", "volatile-layers.json"};
constexpr std::size_t kMaxCachedImages = 512;

std::optional<Sha256> id_of(const std::string& text) {
  auto id = Sha256::parse(text);
  return id && text.size() == 64 ? std::optional<Sha256>(*id) : std::nullopt;
}

}  // namespace

std::optional<ListedContainer> find_listed_container(StoreFolder& root, const std::string& driver,
                                                     const std::string& container_id,
                                                     const RowLimits& limits) {
  for (const char* file : {"containers.json", "volatile-containers.json"}) {
    const UniqueFd fd = root.open_file(driver + "-containers/" + file);
    if (!fd) continue;
    std::optional<ListedContainer> found;
    const auto read =
        read_json_rows(fd.get(), {{"id", "image", "layer", "metadata"}, {"names"}}, limits,
                       [&](const JsonRow& row) {
                         if (row.texts[0] != container_id) return true;
                         found = ListedContainer{row.lists[0].empty() ? "" : row.lists[0][0],
                                                 row.texts[1], row.texts[2], row.texts[3]};
                         return false;
                       });
    if (read && found) return found;
  }
  return std::nullopt;
}

/// One look-up.
class ContainersStorage::Reader {
 public:
  Reader(ContainersStorage& stores, const KernelLayers& kernel, const std::stop_token& stop)
      : stores_(stores), kernel_(kernel), stop_(stop) {
    record_.store = "containers/storage's record";
  }

  std::optional<StoreRecord> read(const std::string& container_id) {
    std::vector<std::shared_ptr<StoreFolder>> folders;
    for (const std::string& path : stores_.paths_)
      if (auto folder = StoreFolder::open(path))
        folders.push_back(std::make_shared<StoreFolder>(std::move(*folder)));
    for (const char* driver : kDrivers) {
      shelves_.clear();
      for (const auto& folder : folders)
        shelves_.push_back({folder, driver});
      if (const auto container = find(container_id)) return read_container(*container);
    }
    return std::nullopt;
  }

 private:
  /// A layer as one of the stores lists it.
  struct Found {
    ListedLayer layer;
    std::optional<std::size_t> place;
    const StoreFolder* folder = nullptr;
  };

  std::optional<ListedContainer> find(const std::string& container_id) {
    for (Shelf& shelf : shelves_) {
      stores_.pacer_.wait_for_turn(stop_);
      auto found = stores_.pacer_.run(
          [&] { return find_listed_container(*shelf.folder, shelf.driver, container_id, {}); });
      if (found) used_.insert(shelf.folder.get());
      if (found) return found;
    }
    return std::nullopt;
  }

  StoreRecord read_container(const ListedContainer& container) {
    ContainerNames& names = record_.names;
    names.name = container.name;
    names.image_id = container.image_id;
    if (const auto metadata = parse_bounded_json(container.metadata))
      names.image = name_of_image(text_at(*metadata, "image-name"), names.image_id);
    const auto own = id_of(container.layer);
    // Another root in the same cgroup, e.g. of a container in the container: not in this record.
    if (own && is_runs_own(container.layer))
      read_layers(*own);
    else if (own)
      record_.is_anothers = is_anothers(container.layer);
    for (const StoreFolder* folder : used_)
      record_.is_for_display |= folder->is_others_to_write();
    return std::move(record_);
  }

  std::string folder_of(const std::string& id) const {
    return shelves_.front().driver == "vfs" ? "vfs/dir/" + id : "overlay/" + id + "/diff";
  }

  bool is_runs_own(const std::string& id) const {
    for (const Shelf& shelf : shelves_) {
      const UniqueFd fd = shelf.folder->open_directory(folder_of(id));
      if (fd && kernel_.is_runs_own(fd.get())) return true;
    }
    return false;
  }

  bool is_anothers(const std::string& id) {
    for (Shelf& shelf : shelves_) {
      const UniqueFd fd = shelf.folder->open_directory(folder_of(id));
      if (!fd || !kernel_.is_anothers(fd.get(), shelf.driver != "vfs")) continue;
      used_.insert(shelf.folder.get());
      return true;
    }
    return false;
  }

  void read_layers(const Sha256& own) {
    const auto top = find_layer(own);
    if (!top) return;
    std::vector<RecordedLayer> layers;
    std::set<Sha256> seen{own};
    for (auto id = top->layer.parent; id;) {
      if (!seen.insert(*id).second || layers.size() >= kMaxLayers)
        return complain("the chain of parents of the container's layers has no end");
      const auto found = find_layer(*id);
      if (!found) return;  // in a store that is not known here, or in words that were complained of
      layers.push_back({found->layer.diff_id, {}, found->place, stream_of(*found)});
      id = found->layer.parent;
    }
    if (!record_.problems.empty()) return;
    std::reverse(layers.begin(), layers.end());
    derive_chain_ids(layers);
    read_image(top->layer.parent, layers);
    record_.is_complete = true;
    record_.layers = kernel_.is_stack() ? std::move(layers) : merged(layers);
  }

  StreamPlace stream_of(const Found& found) const {
    return {StreamPlace::Kind::kTarSplit, found.folder->path(),
            shelves_.front().driver + "-layers/" + found.layer.id.hex() + ".tar-split.gz", ""};
  }

  /// The layer, from the store whose folder for it the kernel uses, else from the first that lists
  /// it.
  std::optional<Found> find_layer(const Sha256& id) {
    std::optional<Found> first;
    for (Shelf& shelf : shelves_) {
      const UniqueFd fd = shelf.folder->open_directory(folder_of(id.hex()));
      const auto place = fd && kernel_.is_stack() ? kernel_.place_of(fd.get()) : std::nullopt;
      for (const char* file : kLayerFiles) {
        const auto list = stores_.layer_list(shelf, file, id, stop_);
        const ListedLayer* layer = list ? list->find(id) : nullptr;
        if (layer == nullptr || (first && !place)) continue;
        first = Found{*layer, place, shelf.folder.get()};
        if (place) break;
      }
      if (first && first->place) break;
    }
    if (first) used_.insert(first->folder);
    if (first && first->layer.is_ambiguous) {
      complain("it names layer " + id.hex() + " twice, with different words");
      return std::nullopt;
    }
    if (first && first->layer.has_bad_parent) {
      complain("the parent of layer " + id.hex() + " is no layer id");
      return std::nullopt;
    }
    return first;
  }

  void read_image(const std::optional<Sha256>& top, const std::vector<RecordedLayer>& layers) {
    ImageFacts facts;
    for (Shelf& shelf : shelves_)
      if (!facts.is_there) facts = stores_.image_facts(shelf, record_.names.image_id);
    if (!facts.is_there) return;  // an image may go while its containers stay
    ContainerNames& names = record_.names;
    if (names.image.empty()) names.image = facts.name;
    names.config_digest = facts.config_digest;
    names.manifest_digest = facts.manifest_digest;
    names.repo_digest = facts.repo_digest;
    auto& problems = record_.problems;
    problems.insert(problems.end(), facts.problems.begin(), facts.problems.end());
    const std::string stands_on = top ? top->hex() : "";
    const auto& copies = facts.mapped_layers;
    if (facts.top_layer != stands_on &&
        std::find(copies.begin(), copies.end(), stands_on) == copies.end())
      problems.push_back(std::string(kImages) +
                         ": the container's image has another top layer than the container "
                         "stands on");
    if (facts.diff_ids) compare_diff_ids(*facts.diff_ids, layers, kLayers, record_);
  }

  void complain(const std::string& reason) {
    record_.problems.push_back(std::string(kLayers) + ": " + reason);
  }

  ContainersStorage& stores_;
  const KernelLayers& kernel_;
  const std::stop_token& stop_;
  std::vector<Shelf> shelves_;
  std::set<const StoreFolder*> used_;  ///< those whose words are in the record
  StoreRecord record_;
};

std::optional<StoreRecord> ContainersStorage::read(const std::string& container_id,
                                                   const KernelLayers& kernel,
                                                   const std::stop_token& stop) {
  return Reader(*this, kernel, stop).read(container_id);
}

std::shared_ptr<const LayerList> ContainersStorage::layer_list(Shelf& shelf, const char* file,
                                                               const Sha256& wanted,
                                                               const std::stop_token& stop) {
  const std::string path = shelf.driver + "-layers/" + file;
  CachedList& cached = lists_[shelf.folder->path() + "/" + path];
  UniqueFd fd = shelf.folder->open_file(path);
  const auto stamp = fd ? stamp_of(fd.get()) : std::nullopt;
  if (!stamp) return nullptr;
  if (cached.list && cached.stamp == *stamp) return cached.list;
  // Other layers came or went since; what is known of this one holds until there is time to look.
  if (cached.list && pacer_.wait().count() > 0 && cached.list->find(wanted) != nullptr)
    return cached.list;
  pacer_.wait_for_turn(stop);
  fd = shelf.folder->open_file(path);
  const auto latest = fd ? stamp_of(fd.get()) : std::nullopt;
  if (!latest) return nullptr;
  auto list = pacer_.run([&] { return LayerList::read(fd.get(), {}); });
  cached.stamp = *latest;
  cached.list = list ? std::make_shared<const LayerList>(std::move(*list))
                     : std::make_shared<const LayerList>();
  return cached.list;
}

ContainersStorage::ImageFacts ContainersStorage::image_facts(Shelf& shelf,
                                                             const std::string& image_id) {
  if (!is_safe_name(image_id)) return {};
  const std::string folder = shelf.driver + "-images";
  const UniqueFd fd = shelf.folder->open_file(folder + "/images.json");
  const auto stamp = fd ? stamp_of(fd.get()) : std::nullopt;
  if (!stamp) return {};
  if (images_.size() >= kMaxCachedImages) images_.clear();
  CachedImage& cached = images_[shelf.folder->path() + "/" + folder + " " + image_id];
  if (cached.stamp == *stamp) return cached.facts;
  cached.stamp = *stamp;
  cached.facts = {};
  const auto image = pacer_.run([&] { return find_listed_image(fd.get(), image_id); });
  if (!image) return {};
  ImageFacts& facts = cached.facts;
  facts.is_there = true;
  facts.top_layer = image->top_layer;
  facts.mapped_layers = image->mapped_layers;
  for (const std::string& name : image->names) {
    const std::size_t at = name.find("@sha256:");
    if (at == std::string::npos) {
      if (facts.name.empty()) facts.name = name;
    } else if (auto digest = RepoDigest::parse(name.substr(at + 1))) {
      facts.repo_digest = *digest;
    }
  }
  const ImageFiles files = read_image_files(*shelf.folder, folder + "/" + image_id, *image);
  facts.config_digest = files.config_digest;
  facts.manifest_digest = files.manifest_digest;
  facts.diff_ids = files.diff_ids;
  if (!files.problem.empty()) facts.problems.push_back(std::string(kImages) + ": " + files.problem);
  return facts;
}

}  // namespace assay::agent
