// SPDX-License-Identifier: Apache-2.0
// A recorded store (tests/golden/stores) in a folder of its own, with directories for its layers
// and a container that stands on them.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "agent/core/ports.h"
#include "agent/rootfs/file_system.h"
#include "common/base/unique_fd.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent::tests {

inline std::string slurp(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// The directory as the kernel would name it.
inline LowerLayer layer_at(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) throw std::runtime_error("no directory " + path);
  LowerLayer layer;
  layer.name = path;
  layer.device = status.st_dev;
  layer.inode = status.st_ino;
  layer.magic = *magic_of(fd.get());
  layer.generation = generation_of(fd.get(), layer.magic).value_or(0);
  return layer;
}

class StoreTree {
 public:
  explicit StoreTree(const std::string& recorded) {
    const auto golden = std::filesystem::path(ASSAY_SOURCE_DIR) / "tests/golden/stores" / recorded;
    std::filesystem::copy(golden, root(), std::filesystem::copy_options::recursive);
    facts = nlohmann::json::parse(slurp(golden / "expected.json"));
    // As runtimes keep them, whatever this checkout's umask was.
    std::filesystem::permissions(root(), std::filesystem::perms::owner_all);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root()))
      std::filesystem::permissions(entry, std::filesystem::perms::owner_all);
  }

  std::string root() const { return scratch_.path("store"); }
  std::string path(const std::string& below) const { return root() + "/" + below; }
  std::string text(const std::string& below) const { return slurp(path(below)); }
  void write(const std::string& below, const std::string& text) const {
    std::filesystem::remove_all(path(below));
    scratch_.write("store/" + below, text);
  }
  void replace(const std::string& file, const std::string& from, const std::string& to) const {
    std::string whole = text(file);
    const std::size_t at = whole.find(from);
    if (at == std::string::npos) throw std::runtime_error("not in " + file + ": " + from);
    write(file, whole.replace(at, from.size(), to));
  }
  std::string make_directory(const std::string& below) const {
    std::filesystem::create_directories(path(below));
    return path(below);
  }
  std::string fact(const char* key) const { return facts.at(key).get<std::string>(); }
  std::vector<std::string> list(const char* key) const {
    return facts.at(key).get<std::vector<std::string>>();
  }

  /// A container on `folders` (below the store, bottom first) that writes to `upper`.
  ContainerStart container(const std::vector<std::string>& folders,
                           const std::string& upper) const {
    ContainerStart start;
    start.is_overlay = true;
    for (const std::string& folder : folders)
      start.layers.push_back(layer_at(make_directory(folder)));
    const LowerLayer own = layer_at(make_directory(upper));
    start.key.root = {42, own.inode, own.generation, 0x794c7630};
    return start;
  }

  nlohmann::json facts;

 private:
  Scratch scratch_;
};

/// What is claimed, bottom first: "DIFF CHAIN" in full, "-" for what is not.
inline std::vector<std::string> claims_of(const RunClaims& claims, const ContainerStart& start) {
  std::vector<std::string> texts;
  for (const LowerLayer& layer : start.layers) {
    std::string text = "- -";
    for (const LayerClaim& claim : claims.layers)
      if (claim.ref == ref_of(layer))
        text = (claim.diff_id ? claim.diff_id->text() : "-") + " " +
               (claim.chain_id ? claim.chain_id->text() : "-");
    texts.push_back(text);
  }
  return texts;
}

}  // namespace assay::agent::tests
