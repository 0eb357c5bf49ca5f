// SPDX-License-Identifier: Apache-2.0
// What it costs to ask stores about one container: docker's and containers/storage's, small ones
// and one of ten thousand layers. Prints rows of docs/performance.md. The stores are made in
// FOLDER.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "agent/rootfs/file_system.h"
#include "agent/rootfs/kernel_directories.h"
#include "agent/runtime/containers_storage.h"
#include "agent/runtime/docker_store.h"
#include "common/base/sha256.h"
#include "common/image/oci_json.h"

namespace {

using namespace assay;
using namespace assay::agent;

const std::string kId(64, 'a');
constexpr int kRounds = 21;

void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

LowerLayer layer_at(const std::string& path) {
  std::filesystem::create_directories(path);
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  (void)::fstat(fd.get(), &status);
  LowerLayer layer;
  layer.name = path;
  layer.device = status.st_dev;
  layer.inode = status.st_ino;
  layer.magic = magic_of(fd.get()) ? *magic_of(fd.get()) : 0;
  layer.generation = generation_of(fd.get(), layer.magic).value_or(0);
  return layer;
}

ContainerStart container(const std::vector<std::string>& folders, const std::string& upper) {
  ContainerStart start;
  start.is_overlay = true;
  for (const std::string& folder : folders)
    start.layers.push_back(layer_at(folder));
  const LowerLayer own = layer_at(upper);
  start.key.root = {1, own.inode, own.generation, 0};
  return start;
}

template <typename Work>
double median_ms(Work work) {
  std::vector<double> times;
  for (int i = 0; i < kRounds; ++i) {
    const auto began = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - began;
    times.push_back(took.count());
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

ContainerStart make_docker(const std::string& root, std::size_t layers) {
  const std::string db = root + "/image/overlay2/layerdb/";
  std::vector<std::string> folders;
  std::optional<ChainId> chain;
  std::string diff_ids;
  for (std::size_t i = 0; i < layers; ++i) {
    const DiffId diff_id{sha256("layer " + std::to_string(i)).bytes};
    const std::string parent = chain ? chain->text() : "";
    chain = image::chain_id_of(chain, diff_id);
    const std::string entry = db + "sha256/" + chain->hex() + "/";
    write(entry + "diff", diff_id.text());
    write(entry + "cache-id", "cache" + std::to_string(i));
    if (!parent.empty()) write(entry + "parent", parent);
    folders.push_back(root + "/overlay2/cache" + std::to_string(i) + "/diff");
    diff_ids += (i == 0 ? "\"" : ",\"") + diff_id.text() + "\"";
  }
  const std::string config = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" + diff_ids + "]}}";
  write(root + "/image/overlay2/imagedb/content/sha256/" + sha256(config).hex(), config);
  write(root + "/containers/" + kId + "/config.v2.json",
        R"({"Driver":"overlay2","Image":")" + sha256(config).text() + "\"}");
  write(db + "mounts/" + kId + "/mount-id", "own");
  write(db + "mounts/" + kId + "/init-id", "own-init");
  write(db + "mounts/" + kId + "/parent", chain->text());
  folders.push_back(root + "/overlay2/own-init/diff");
  return container(folders, root + "/overlay2/own/diff");
}

void measure_docker(const std::string& root, std::size_t layers) {
  const ContainerStart start = make_docker(root, layers);
  KernelDirectories check;
  std::size_t claims = 0;
  const double took = median_ms([&] {
    auto folder = StoreFolder::open(root);
    const KernelLayers kernel(start, check);
    claims = compare({}, *read_docker_store(*folder, kId, kernel), kernel).layers.size();
  });
  std::printf("| docker, one container on %zu layers | %.2f ms (%zu claims) |\n", layers, took,
              claims);
}

std::string hex_id(const std::string& word) {
  return sha256(word).hex();
}

/// `listed` layers, of which a container stands on the last `used`.
ContainerStart make_containers_storage(const std::string& root, std::size_t listed,
                                       std::size_t used) {
  std::string list = "[";
  std::vector<std::string> folders;
  std::string parent;
  for (std::size_t i = 0; i < listed; ++i) {
    const std::string id = hex_id("layer " + std::to_string(i));
    const std::string digest = "\"sha256:" + hex_id("diff " + std::to_string(i)) + "\"";
    const bool is_used = i + used >= listed;
    list += "{\"id\":\"" + id + "\"";
    if (is_used && !parent.empty()) list += ",\"parent\":\"" + parent + "\"";
    list += ",\"created\":\"2026-11-26T03:35:28.410526696Z\",\"compressed-diff-digest\":" + digest +
            ",\"compressed-size\":1986560,\"diff-digest\":" + digest +
            ",\"diff-size\":1986560,\"compression\":2,\"uidset\":[0],\"gidset\":[0]},";
    if (!is_used) continue;
    folders.push_back(root + "/overlay/" + id + "/diff");
    parent = id;
  }
  const std::string own = hex_id("own");
  write(root + "/overlay-layers/layers.json",
        list + "{\"id\":\"" + own + "\",\"names\":[\"web-layer\"],\"parent\":\"" + parent +
            "\",\"created\":\"2026-11-26T03:35:28.79069403Z\"}]");
  write(root + "/overlay-containers/containers.json",
        "[{\"id\":\"" + kId + "\",\"names\":[\"web\"],\"image\":\"" + hex_id("image") +
            "\",\"layer\":\"" + own + "\",\"metadata\":\"{}\"}]");
  return container(folders, root + "/overlay/" + own + "/diff");
}

long rss_kib() {
  std::ifstream file("/proc/self/statm");
  long total = 0, resident = 0;
  file >> total >> resident;
  return resident * 4;
}

void measure_containers_storage(const std::string& root, std::size_t listed) {
  const ContainerStart start = make_containers_storage(root, listed, 10);
  const std::string file = root + "/overlay-layers/layers.json";
  KernelDirectories check;
  const long before = rss_kib();
  ContainersStorage stores({root});
  std::size_t claims = 0;
  const auto look = [&](ContainersStorage& asked) {
    const KernelLayers kernel(start, check);
    claims = compare({}, *asked.read(kId, kernel, {}), kernel).layers.size();
  };
  look(stores);
  const long kept = rss_kib() - before;
  const double parsed = median_ms([&] { look(stores); });
  const double fresh = median_ms([&] {
    ContainersStorage asked({root});
    look(asked);
  });
  std::printf(
      "| podman, a store of %zu layers (layers.json %.1f MB), one container on 10 | %.2f ms, "
      "%.2f ms when the list was replaced (%zu claims; %ld KiB kept) |\n",
      listed, static_cast<double>(std::filesystem::file_size(file)) / 1e6, parsed, fresh, claims,
      kept);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: bench_claims FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  measure_docker(folder + "/docker-5", 5);
  measure_docker(folder + "/docker-100", 100);
  measure_containers_storage(folder + "/podman-100", 100);
  measure_containers_storage(folder + "/podman-10000", 10'000);
  return 0;
}
