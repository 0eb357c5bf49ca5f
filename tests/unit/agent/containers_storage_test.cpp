// SPDX-License-Identifier: Apache-2.0
// What the store of podman and CRI-O claims, on a recorded store and on forged ones.
#include "agent/runtime/containers_storage.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "agent/rootfs/kernel_directories.h"
#include "common/base/encoding.h"
#include "tests/unit/agent/store_tree.h"

namespace assay::agent {
namespace {

using namespace tests;
using nlohmann::json;
using Texts = std::vector<std::string>;

const std::string kLayers = "overlay-layers/layers.json";
const std::string kContainers = "overlay-containers/containers.json";
const std::string kImages = "overlay-images/images.json";

class PodmanTree : public StoreTree {
 public:
  explicit PodmanTree(const char* container = "container_id")
      : StoreTree("podman-overlay"), id(fact(container)), roots{root()} {
    const std::string own = container_entry().at("layer");
    for (std::string layer = entry(own).at("parent"); !layer.empty();
         layer = entry(layer).value("parent", ""))
      ids.insert(ids.begin(), layer);
    upper = folder(own);
    stand_on(ids);
  }
  static std::string folder(const std::string& layer) { return "overlay/" + layer + "/diff"; }
  json rows(const std::string& file) const { return json::parse(text(file)); }
  json entry(const std::string& layer) const {
    for (const json& row : rows(kLayers))
      if (row.at("id") == layer) return row;
    throw std::runtime_error("no layer " + layer);
  }
  json container_entry() const {
    for (const json& row : rows(kContainers))
      if (row.at("id") == id) return row;
    throw std::runtime_error("no container " + id);
  }
  /// Lets `change` have the entry of a layer, then writes the list again.
  void edit(const std::string& layer, const std::function<void(json&)>& change) const {
    json list = rows(kLayers);
    for (json& row : list)
      if (row.at("id") == layer) change(row);
    write(kLayers, list.dump());
  }
  void stand_on(const Texts& layers) {
    Texts folders;
    for (const std::string& layer : layers)
      folders.push_back(folder(layer));
    start = container(folders, upper);
  }

  std::optional<RunClaims> look_up() {
    KernelDirectories check;
    const KernelLayers kernel(start, check);
    ContainersStorage fresh(roots);
    const auto record = (stores ? *stores : fresh).read(id, kernel, {});
    if (!record) return std::nullopt;
    return compare({"run", start, {}}, *record, kernel);
  }
  Texts conflicts() { return look_up().value().conflicts; }
  Texts claims() { return claims_of(look_up().value(), start); }

  const std::string id;
  Texts roots;
  Texts ids;  ///< of the image's layers, bottom first
  std::string upper;
  ContainerStart start;
  ContainersStorage* stores = nullptr;  ///< for looks that share what was parsed
};

Texts expected_claims(const PodmanTree& tree) {
  Texts texts;
  for (std::size_t i = 0; i < 3; ++i)
    texts.push_back(tree.list("diff_ids")[i] + " " + tree.list("chain_ids")[i]);
  return texts;
}

TEST_CASE("a recorded podman store claims the image's true diff and chain IDs", "[agent][unit]") {
  PodmanTree tree;
  const RunClaims claims = tree.look_up().value();
  CHECK(claims.conflicts == Texts{});
  CHECK(claims_of(claims, tree.start) == expected_claims(tree));
  CHECK(tree.ids[1] != tree.list("chain_ids")[1].substr(7));  // its layer ids are no chain IDs
  CHECK(claims.names.name == "web");
  CHECK(claims.names.image == tree.fact("image"));
  CHECK("sha256:" + claims.names.image_id == tree.fact("config_digest"));
  CHECK(claims.names.config_digest->text() == tree.fact("config_digest"));
  CHECK(claims.names.manifest_digest->text() == tree.fact("manifest_digest"));
  CHECK_FALSE(claims.names.repo_digest);
  REQUIRE(claims.layers.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(claims.layers[i].is_for_display == (::geteuid() != 0));
    CHECK(claims.layers[i].stream.kind == StreamPlace::Kind::kTarSplit);
    CHECK(claims.layers[i].stream.store == tree.root());
    CHECK(claims.layers[i].stream.path == "overlay-layers/" + tree.ids[i] + ".tar-split.gz");
  }
}

TEST_CASE("layers that podman built have random ids and true diff IDs", "[agent][unit]") {
  PodmanTree tree("built_container_id");
  const RunClaims claims = tree.look_up().value();
  CHECK(claims.conflicts == Texts{});
  REQUIRE(claims.layers.size() == 4);
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(claims.layers[i].diff_id->text() == tree.list("built_diff_ids")[i]);
}

struct Forgery {
  const char* name;
  std::function<void(PodmanTree&)> forge;
  const char* conflict;  ///< a part of the first one
};

const std::vector<Forgery>& forgeries() {
  static const std::vector<Forgery> rows = {
      {"the diff IDs of two layers are swapped",
       [](PodmanTree& t) {
         const std::string second = t.entry(t.ids[1]).at("diff-digest");
         const std::string third = t.entry(t.ids[2]).at("diff-digest");
         t.edit(t.ids[1], [&](json& row) { row["diff-digest"] = third; });
         t.edit(t.ids[2], [&](json& row) { row["diff-digest"] = second; });
       },
       "containers/storage's layers.json: the image's configuration says that layer 2 is sha256:"},
      {"a layer is left out of the chain",
       [](PodmanTree& t) { t.edit(t.ids[2], [&](json& row) { row["parent"] = t.ids[0]; }); },
       "the image's configuration lists 3 diff IDs, the store keeps 2 layers"},
      {"a bottom is made of a layer in the middle",
       [](PodmanTree& t) { t.edit(t.ids[1], [](json& row) { row.erase("parent"); }); },
       "lists 3 diff IDs, the store keeps 2 layers"},
      {"two layers change places",
       [](PodmanTree& t) {
         t.edit(t.ids[1], [&](json& row) { row["parent"] = t.ids[2]; });
         t.edit(t.ids[2], [&](json& row) { row["parent"] = t.ids[0]; });
         t.edit(t.container_entry().at("layer"), [&](json& row) { row["parent"] = t.ids[1]; });
       },
       "containers/storage's images.json: the container's image has another top layer"},
      {"a parent is its own child",
       [](PodmanTree& t) { t.edit(t.ids[0], [&](json& row) { row["parent"] = t.ids[2]; }); },
       "containers/storage's layers.json: the chain of parents of the container's layers has no "
       "end"},
      {"a layer is its own parent",
       [](PodmanTree& t) { t.edit(t.ids[0], [&](json& row) { row["parent"] = t.ids[0]; }); },
       "the chain of parents of the container's layers has no end"},
      {"a parent is no layer id",
       [](PodmanTree& t) { t.edit(t.ids[1], [](json& row) { row["parent"] = "../x"; }); },
       "is no layer id"},
      {"a layer is listed twice",
       [](PodmanTree& t) {
         json list = t.rows(kLayers);
         json second = t.entry(t.ids[1]);
         second["diff-digest"] = t.list("diff_ids")[0];
         list.push_back(second);
         t.write(kLayers, list.dump());
       },
       "twice, with different words"},
      {"a directory is another one",
       [](PodmanTree& t) {
         const std::string folder = PodmanTree::folder(t.ids[1]);
         std::filesystem::rename(t.path(folder), t.path("moved"));
         t.make_directory(folder);
       },
       "containers/storage's record: layer 2 ("},
      {"a directory is a link out of the store",
       [](PodmanTree& t) {
         const std::string folder = PodmanTree::folder(t.ids[1]);
         std::filesystem::rename(t.path(folder), t.path("moved"));
         std::filesystem::create_directory_symlink(t.path("moved"), t.path(folder));
       },
       "containers/storage's record: layer 2 ("},
      {"the image's manifest was edited",
       [](PodmanTree& t) {
         t.replace("overlay-images/" + t.fact("config_digest").substr(7) + "/manifest",
                   "\"schemaVersion\": 2", "\"schemaVersion\": 3");
       },
       "containers/storage's images.json: the manifest of the image has other bytes"},
      {"the image's configuration was edited",
       [](PodmanTree& t) {
         const std::string name = "=" + to_base64(t.fact("config_digest"));
         t.replace("overlay-images/" + t.fact("config_digest").substr(7) + "/" + name, "amd64",
                   "arm64");
       },
       "containers/storage's images.json: the configuration of the image has other bytes"},
  };
  return rows;
}

TEST_CASE("a podman store that disagrees with itself or the kernel claims nothing",
          "[agent][unit]") {
  for (const Forgery& row : forgeries()) {
    INFO(row.name);
    PodmanTree tree;
    row.forge(tree);
    const RunClaims claims = tree.look_up().value();
    REQUIRE_FALSE(claims.conflicts.empty());
    CHECK_THAT(claims.conflicts.front(), Catch::Contains(row.conflict));
    CHECK(claims_of(claims, tree.start) == Texts{"- -", "- -", "- -"});
  }
}

TEST_CASE("layers in another order than the store's are told", "[agent][unit]") {
  PodmanTree tree;
  tree.stand_on({tree.ids[0], tree.ids[2], tree.ids[1]});
  REQUIRE(tree.conflicts().size() == 1);
  CHECK(tree.conflicts()[0] ==
        "containers/storage's record: its layers are in another order: what it names as number 2 "
        "is number 3 of the container");
  tree.stand_on({tree.ids[0], tree.ids[1]});
  CHECK(tree.conflicts() ==
        Texts{"containers/storage's record: it names 3 layers, the container stands on 2"});
}

TEST_CASE("lists that cannot be read claim nothing and accuse nobody", "[agent][unit]") {
  const std::string deep = std::string(5000, '[') + std::string(5000, ']');
  const std::vector<std::pair<const char*, std::function<void(PodmanTree&)>>> rows = {
      {"empty", [](PodmanTree& t) { t.write(kLayers, ""); }},
      {"no list", [](PodmanTree& t) { t.write(kLayers, "{}"); }},
      {"truncated", [](PodmanTree& t) { t.write(kLayers, t.text(kLayers).substr(0, 700)); }},
      {"other types", [](PodmanTree& t) { t.write(kLayers, R"([{"id":7,"parent":[]},{}])"); }},
      {"nested too deep", [&](PodmanTree& t) { t.write(kLayers, "[{\"x\":" + deep + "}]"); }},
      {"not UTF-8", [](PodmanTree& t) { t.write(kLayers, "[{\"id\":\"\xff\"}]"); }},
      {"100 MB", [](PodmanTree& t) { std::filesystem::resize_file(t.path(kLayers), 100'000'000); }},
      {"a link out of the store",
       [](PodmanTree& t) {
         std::filesystem::rename(t.path(kLayers), t.path("moved"));
         std::filesystem::create_symlink(t.path("moved"), t.path(kLayers));
       }},
      {"a folder",
       [](PodmanTree& t) {
         std::filesystem::remove(t.path(kLayers));
         t.make_directory(kLayers);
       }},
      {"gone", [](PodmanTree& t) { std::filesystem::remove(t.path(kLayers)); }},
      {"a layer that is in no store known here",
       [](PodmanTree& t) {
         json list = t.rows(kLayers);
         list.erase(list.begin());
         t.write(kLayers, list.dump());
       }},
  };
  for (const auto& [name, forge] : rows) {
    INFO(name);
    PodmanTree tree;
    forge(tree);
    const RunClaims claims = tree.look_up().value();
    CHECK(claims.conflicts == Texts{});
    CHECK(claims.layers.empty());
    CHECK(claims.names.image == tree.fact("image"));
  }
}

TEST_CASE("a container that is in no list has no record", "[agent][unit]") {
  for (const char* text : {"", "[]", "[7]", "{\"id\":1}", "[[]]", "[{\"id\":\"x\"}"}) {
    INFO(text);
    PodmanTree tree;
    tree.write(kContainers, text);
    CHECK_FALSE(tree.look_up());
  }
}

TEST_CASE("another root in the container's cgroup is not in podman's record", "[agent][unit]") {
  PodmanTree tree;
  tree.upper = "inner/upper";
  tree.stand_on({tree.ids[0]});
  CHECK(tree.conflicts() == Texts{});
  CHECK(tree.claims() == Texts{"- -"});
}

TEST_CASE("a container may stand on the layers of an additional store", "[agent][unit]") {
  PodmanTree tree;
  // Two stores: the images in one, the container in the other.
  json of_image = json::array();
  json of_container = json::array();
  for (const json& row : tree.rows(kLayers))
    (row.contains("diff-digest") ? of_image : of_container).push_back(row);
  tree.write("more/" + kLayers, of_image.dump());
  tree.write(kLayers, of_container.dump());
  std::filesystem::rename(tree.path("overlay-images"), tree.path("more/overlay-images"));
  for (const std::string& layer : tree.ids)
    std::filesystem::remove_all(tree.path(PodmanTree::folder(layer)));
  Texts folders;
  for (const std::string& layer : tree.ids)
    folders.push_back("more/" + PodmanTree::folder(layer));
  tree.start = tree.container(folders, tree.upper);
  CHECK(tree.claims() == Texts{"- -", "- -", "- -"});  // nobody said that there is another store
  CHECK(tree.conflicts() == Texts{});

  tree.roots.push_back(tree.path("more"));
  CHECK(tree.conflicts() == Texts{});
  CHECK(tree.claims() == expected_claims(tree));
  CHECK(tree.look_up()->names.config_digest->text() == tree.fact("config_digest"));

  // A stub of the same layer in the first store, with other words: the kernel's directory decides.
  json lying = of_image[0];
  lying["diff-digest"] = tree.list("diff_ids")[2];
  of_container.push_back(lying);
  tree.write(kLayers, of_container.dump());
  tree.make_directory(PodmanTree::folder(tree.ids[0]));
  CHECK(tree.claims() == expected_claims(tree));
  CHECK(tree.conflicts() == Texts{});

  // A store that others may write counts only where its words are used.
  tree.make_directory("rootless/overlay-layers");
  ::chmod(tree.path("rootless").c_str(), 0777);
  tree.roots.push_back(tree.path("rootless"));
  CHECK(tree.look_up()->layers[0].is_for_display == (::geteuid() != 0));
  ::chmod(tree.path("more").c_str(), 0777);
  CHECK(tree.look_up()->layers[0].is_for_display);
}

TEST_CASE("layers and containers of volatile lists are found", "[agent][unit]") {
  PodmanTree tree;
  json lasting = json::array();
  json passing = json::array();
  for (const json& row : tree.rows(kLayers))
    (row.contains("diff-digest") ? lasting : passing).push_back(row);
  tree.write(kLayers, lasting.dump());
  tree.write("overlay-layers/volatile-layers.json", passing.dump());
  std::filesystem::rename(tree.path(kContainers),
                          tree.path("overlay-containers/volatile-containers.json"));
  CHECK(tree.claims() == expected_claims(tree));
}

TEST_CASE("a copy with other owners stands for the image's top layer", "[agent][unit]") {
  PodmanTree tree;
  const std::string copy(64, 'c');
  json list = tree.rows(kLayers);
  json mapped = tree.entry(tree.ids[2]);
  mapped["id"] = copy;
  mapped["uidmap"] = json::array({{{"container_id", 0}, {"host_id", 100000}, {"size", 65536}}});
  list.push_back(mapped);
  tree.write(kLayers, list.dump());
  tree.edit(tree.container_entry().at("layer"), [&](json& row) { row["parent"] = copy; });
  tree.stand_on({tree.ids[0], tree.ids[1], copy});
  CHECK(tree.conflicts().size() == 1);  // the image does not know this copy
  json images = tree.rows(kImages);
  for (json& image : images)
    image["mapped-layers"] = json::array({copy});
  tree.write(kImages, images.dump());
  CHECK(tree.conflicts() == Texts{});
  CHECK(tree.claims() == expected_claims(tree));
}

TEST_CASE("a layer that is known by its table of contents only has no diff ID", "[agent][unit]") {
  PodmanTree tree;
  tree.edit(tree.ids[1], [](json& row) {
    row.erase("diff-digest");
    row["toc-digest"] = "sha256:" + std::string(64, 'a');
  });
  CHECK(tree.conflicts() == Texts{});
  Texts expected = expected_claims(tree);
  expected[1] = "- -";
  expected[2] = tree.list("diff_ids")[2] + " -";  // no chain ID without all diff IDs below
  CHECK(tree.claims() == expected);
}

TEST_CASE("of podman's vfs the one directory has the chain ID of all its layers", "[agent][unit]") {
  PodmanTree tree;
  for (const char* kind : {"containers", "layers", "images"})
    std::filesystem::rename(tree.path(std::string("overlay-") + kind),
                            tree.path(std::string("vfs-") + kind));
  const std::string own = tree.upper.substr(8, 64);
  const LowerLayer root = layer_at(tree.make_directory("vfs/dir/" + own));
  tree.start = {};
  tree.start.key.root = {root.device, root.inode, root.generation, root.magic};
  const RunClaims claims = tree.look_up().value();
  CHECK(claims.conflicts == Texts{});
  REQUIRE(claims.layers.size() == 1);
  CHECK(claims.layers[0].chain_id->text() == tree.list("chain_ids")[2]);
}

TEST_CASE("a list that was replaced is parsed again", "[agent][unit]") {
  PodmanTree tree;
  ContainersStorage shared(tree.roots);
  tree.stores = &shared;
  CHECK(tree.claims() == expected_claims(tree));
  const std::string list = tree.text(kLayers);
  tree.edit(tree.ids[0], [&](json& row) { row["diff-digest"] = tree.list("diff_ids")[2]; });
  CHECK(tree.conflicts().size() == 1);
  tree.write(kLayers, list);
  CHECK(tree.claims() == expected_claims(tree));
}

TEST_CASE("digests of images are what they are called", "[agent][unit]") {
  PodmanTree tree;
  json images = tree.rows(kImages);
  const std::string index = "sha256:" + std::string(64, 'd');
  for (json& image : images)
    image["names"] = json::array({"docker.io/library/three@" + index, "docker.io/library/three:1"});
  tree.write(kImages, images.dump());
  json containers = tree.rows(kContainers);
  for (json& row : containers)
    row["metadata"] = json{{"image-name", row.at("image")}}.dump();  // run by its id
  tree.write(kContainers, containers.dump());
  const ContainerNames names = tree.look_up()->names;
  CHECK(names.repo_digest->text() == index);
  CHECK(names.image == "docker.io/library/three:1");
  CHECK(names.manifest_digest->text() == tree.fact("manifest_digest"));
}

}  // namespace
}  // namespace assay::agent
