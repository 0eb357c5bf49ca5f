// SPDX-License-Identifier: Apache-2.0
// Any bytes as the files that docker keeps of one container on two layers. The input is split at
// lines "--" into the files below; what is missing is not there.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "agent/rootfs/kernel_directories.h"
#include "agent/runtime/docker_store.h"
#include "agent/runtime/store_record.h"

using namespace assay;
using namespace assay::agent;

namespace {

const std::string kContainer(64, 'c');
const std::string kTop(64, 'b');
const std::string kBottom(64, 'a');
const std::string kImage(64, 'd');
const std::string kDb = "image/overlay2/layerdb/";
const std::string kFiles[] = {"containers/" + kContainer + "/config.v2.json",
                              kDb + "mounts/" + kContainer + "/mount-id",
                              kDb + "mounts/" + kContainer + "/init-id",
                              kDb + "mounts/" + kContainer + "/parent",
                              kDb + "sha256/" + kTop + "/diff",
                              kDb + "sha256/" + kTop + "/cache-id",
                              kDb + "sha256/" + kTop + "/parent",
                              kDb + "sha256/" + kBottom + "/diff",
                              kDb + "sha256/" + kBottom + "/cache-id",
                              kDb + "sha256/" + kBottom + "/parent",
                              "image/overlay2/imagedb/content/sha256/" + kImage,
                              "image/overlay2/repositories.json"};

/// A store's folders in memory, made once.
class Store {
 public:
  Store() {
    std::string pattern = "/dev/shm/assay-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    root = pattern;
    for (const std::string& file : kFiles)
      std::filesystem::create_directories(std::filesystem::path(root + "/" + file).parent_path());
    for (const char* layer : {"own", "top", "bottom"})
      std::filesystem::create_directories(root + "/overlay2/" + layer + "/diff");
    start.is_overlay = true;
    start.layers = {layer_at("bottom"), layer_at("top")};
    start.key.root.inode = layer_at("own").inode;
  }
  ~Store() { std::filesystem::remove_all(root); }

  std::string root;
  ContainerStart start;

 private:
  LowerLayer layer_at(const std::string& layer) const {
    struct stat status {};
    (void)::stat((root + "/overlay2/" + layer + "/diff").c_str(), &status);
    LowerLayer found;
    found.device = status.st_dev;
    found.inode = status.st_ino;
    return found;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Store store;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  for (const std::string& file : kFiles) {
    const std::string path = store.root + "/" + file;
    if (rest.empty()) {
      std::filesystem::remove(path);
      continue;
    }
    const std::size_t end = rest.find("\n--\n");
    std::ofstream(path, std::ios::binary) << rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 4);
  }
  auto folder = StoreFolder::open(store.root);
  if (!folder) std::abort();
  KernelDirectories check;
  const KernelLayers kernel(store.start, check);
  const auto record = read_docker_store(*folder, kContainer, kernel);
  if (!record) return 0;
  for (const std::string& conflict : compare({"run", store.start, {}}, *record, kernel).conflicts)
    if (conflict.find('\n') != std::string::npos) std::abort();  // they are escaped
  return 0;
}
