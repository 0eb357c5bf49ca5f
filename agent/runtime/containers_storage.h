// SPDX-License-Identifier: Apache-2.0
// The store of podman, buildah and CRI-O: containers/storage with overlay and vfs. Private to
// agent/runtime.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/runtime/kernel_layers.h"
#include "agent/runtime/layer_list.h"
#include "agent/runtime/store_folder.h"
#include "agent/runtime/store_record.h"
#include "common/base/pacer.h"

namespace assay::agent {

/// An entry of containers.json.
struct ListedContainer {
  std::string name;
  std::string image_id;
  std::string layer;
  std::string metadata;  ///< JSON of the runtime's own
};
/// The container's entry in containers.json or volatile-containers.json of `driver` ("overlay",
/// "vfs"); nothing when there is none or the file is larger than `limits` allow.
/// Source: containers/storage containers.go, type Container.
std::optional<ListedContainer> find_listed_container(StoreFolder& root, const std::string& driver,
                                                     const std::string& container_id,
                                                     const RowLimits& limits);

/// Reads stores in several folders as one: a container in one may stand on layers in another
/// (additional image stores, a split image store, transient containers in the run root). Lists are
/// parsed again only when their file was replaced, and large ones not more often than their cost
/// allows. Not thread-safe. Blocks on disk.
class ContainersStorage {
 public:
  /// `roots`: graph roots, additional stores, run roots.
  explicit ContainersStorage(std::vector<std::string> roots) : paths_(std::move(roots)) {}

  /// What the stores say of a container; nothing when it is in none of them (any more).
  std::optional<StoreRecord> read(const std::string& container_id, const KernelLayers& kernel,
                                  const std::stop_token& stop);

 private:
  /// One folder with one driver's files.
  struct Shelf {
    std::shared_ptr<StoreFolder> folder;  // shared by the drivers of one folder
    std::string driver;
  };
  struct CachedList {
    FileStamp stamp;
    std::shared_ptr<const LayerList> list;  // shared with the look-up at hand
  };
  /// What images.json and the files beside it say of one image.
  struct ImageFacts {
    bool is_there = false;
    std::string name;
    std::string top_layer;
    std::vector<std::string> mapped_layers;  ///< copies of it with other owners
    std::optional<ConfigDigest> config_digest;
    std::optional<ManifestDigest> manifest_digest;
    std::optional<RepoDigest> repo_digest;
    std::optional<std::vector<DiffId>> diff_ids;
    std::vector<std::string> problems;
  };
  struct CachedImage {
    FileStamp stamp;  ///< of images.json
    ImageFacts facts;
  };
  class Reader;

  std::shared_ptr<const LayerList> layer_list(Shelf& shelf, const char* file, const Sha256& wanted,
                                              const std::stop_token& stop);
  ImageFacts image_facts(Shelf& shelf, const std::string& image_id);

  const std::vector<std::string> paths_;
  Pacer pacer_;
  std::map<std::string, CachedList> lists_;    // by path of the file
  std::map<std::string, CachedImage> images_;  // by path of images.json and image id
};

}  // namespace assay::agent
