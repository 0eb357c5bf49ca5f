// SPDX-License-Identifier: Apache-2.0
// What docker's store claims, on a recorded store and on forged ones.
#include "agent/runtime/docker_store.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "agent/rootfs/kernel_directories.h"
#include "common/base/sha256.h"
#include "tests/unit/agent/store_tree.h"

namespace assay::agent {
namespace {

using namespace tests;
using Texts = std::vector<std::string>;

class DockerTree : public StoreTree {
 public:
  DockerTree() : StoreTree("docker-overlay2"), id(fact("container_id")) {
    for (const std::string& chain : list("chain_ids"))
      folders.push_back("overlay2/" + text(layer_file(chain, "cache-id")) + "/diff");
    folders.push_back("overlay2/" + text(mount_file("init-id")) + "/diff");
    upper = "overlay2/" + text(mount_file("mount-id")) + "/diff";
    start = container(folders, upper);
  }
  std::string layer_file(const std::string& chain, const std::string& name) const {
    return "image/overlay2/layerdb/sha256/" + chain.substr(7) + "/" + name;
  }
  std::string mount_file(const std::string& name) const {
    return "image/overlay2/layerdb/mounts/" + id + "/" + name;
  }
  std::string image_file() const {
    return "image/overlay2/imagedb/content/sha256/" + fact("config_digest").substr(7);
  }
  std::string chain(std::size_t i) const { return list("chain_ids")[i]; }
  /// Puts the words of two entries in each other's place.
  void swap(const std::string& a, const std::string& b) const {
    const std::string kept = text(a);
    write(a, text(b));
    write(b, kept);
  }

  /// Nothing when the store knows no such container.
  std::optional<RunClaims> look_up() const {
    auto folder = StoreFolder::open(root());
    REQUIRE(folder);
    KernelDirectories check;
    const KernelLayers kernel(start, check);
    const auto record = read_docker_store(*folder, id, kernel);
    if (!record) return std::nullopt;
    return compare({"run", start, {}}, *record, kernel);
  }
  Texts claims() const { return claims_of(look_up().value(), start); }
  Texts conflicts() const { return look_up().value().conflicts; }

  const std::string id;
  Texts folders;
  std::string upper;
  ContainerStart start;
};

const Texts kNothing = {"- -", "- -", "- -", "- -"};

TEST_CASE("a recorded docker store claims the image's true diff and chain IDs", "[agent][unit]") {
  const DockerTree tree;
  const RunClaims claims = tree.look_up().value();
  CHECK(claims.conflicts == Texts{});
  Texts expected;
  for (std::size_t i = 0; i < 3; ++i)
    expected.push_back(tree.list("diff_ids")[i] + " " + tree.chain(i));
  expected.emplace_back("- -");  // docker's own -init layer
  CHECK(claims_of(claims, tree.start) == expected);
  CHECK(claims.names.image == tree.fact("image"));
  CHECK(claims.names.image_id == tree.fact("config_digest"));
  CHECK(claims.names.config_digest->text() == tree.fact("config_digest"));
  CHECK_FALSE(claims.names.manifest_digest);
  CHECK_FALSE(claims.names.repo_digest);
  REQUIRE(claims.layers.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(claims.layers[i].is_for_display == (::geteuid() != 0));
    CHECK(claims.layers[i].stream.kind == StreamPlace::Kind::kTarSplit);
    CHECK(claims.layers[i].stream.store == tree.root());
    CHECK(claims.layers[i].stream.path == tree.layer_file(tree.chain(i), "tar-split.json.gz"));
  }
}

struct Forgery {
  const char* name;
  std::function<void(DockerTree&)> forge;
  const char* conflict;  ///< a part of the first one
};

const std::vector<Forgery>& forgeries() {
  static const std::vector<Forgery> rows = {
      {"the diff IDs of two layers are swapped",
       [](DockerTree& t) {
         t.swap(t.layer_file(t.chain(1), "diff"), t.layer_file(t.chain(2), "diff"));
       },
       "docker's layerdb: the diff IDs of the layers up to layer 2 do not give the chain ID"},
      {"the directories of two layers are swapped",
       [](DockerTree& t) {
         t.swap(t.layer_file(t.chain(1), "cache-id"), t.layer_file(t.chain(2), "cache-id"));
       },
       "docker's record: its layers are in another order: what it names as number 2 is number 3"},
      {"a layer is left out of the chain",
       [](DockerTree& t) { t.write(t.layer_file(t.chain(2), "parent"), t.chain(0)); },
       "docker's layerdb: the diff IDs of the layers up to layer 2"},
      {"the container stands on another image's layer",
       [](DockerTree& t) { t.write(t.mount_file("parent"), t.chain(1)); },
       "docker's imagedb: the image's configuration lists 3 diff IDs, the store keeps 2 layers"},
      {"the -init layer is left out",
       [](DockerTree& t) { std::filesystem::remove(t.path(t.mount_file("init-id"))); },
       "docker's record: it names 3 layers, the container stands on 4"},
      {"a directory is another one",
       [](DockerTree& t) {
         std::filesystem::rename(t.path(t.folders[1]), t.path(t.folders[1] + "-moved"));
         t.make_directory(t.folders[1]);
       },
       "of the container is no directory that it names"},
      {"a directory is gone", [](DockerTree& t) { std::filesystem::remove(t.path(t.folders[0])); },
       "docker's record: layer 1 ("},
      {"a directory is a link",
       [](DockerTree& t) {
         std::filesystem::rename(t.path(t.folders[1]), t.path("moved"));
         std::filesystem::create_directory_symlink(t.path("moved"), t.path(t.folders[1]));
       },
       "docker's record: layer 2 ("},
      {"a parent is its own child",
       [](DockerTree& t) { t.write(t.layer_file(t.chain(0), "parent"), t.chain(2)); },
       "docker's layerdb: the chain of parents of the container's layers has no end"},
      {"a parent is no chain ID",
       [](DockerTree& t) { t.write(t.layer_file(t.chain(1), "parent"), "../../x\x1b"); },
       "docker's layerdb: a parent is no chain ID: ../../x\\x1b"},
      {"an entry is gone",
       [](DockerTree& t) { std::filesystem::remove_all(t.path(t.layer_file(t.chain(1), ""))); },
       "docker's layerdb: there is no whole entry for sha256:"},
      {"a diff ID is truncated",
       [](DockerTree& t) {
         t.write(t.layer_file(t.chain(1), "diff"),
                 t.text(t.layer_file(t.chain(1), "diff")).substr(0, 40));
       },
       "docker's layerdb: there is no whole entry for sha256:"},
      {"a diff ID is a link out of the store",
       [](DockerTree& t) {
         const std::string file = t.path(t.layer_file(t.chain(1), "diff"));
         t.write("elsewhere", t.text(t.layer_file(t.chain(1), "diff")));
         std::filesystem::remove(file);
         std::filesystem::create_symlink(t.path("elsewhere"), file);
       },
       "docker's layerdb: there is no whole entry for sha256:"},
      {"a cache id leads out of the store",
       [](DockerTree& t) { t.write(t.layer_file(t.chain(1), "cache-id"), "../../etc"); },
       "docker's layerdb: there is no whole entry for sha256:"},
      {"a file is 100 MB long",
       [](DockerTree& t) {
         std::filesystem::resize_file(t.path(t.layer_file(t.chain(1), "diff")), 100'000'000);
       },
       "docker's layerdb: there is no whole entry for sha256:"},
      {"the image's configuration was edited",
       [](DockerTree& t) { t.replace(t.image_file(), "amd64", "arm64"); },
       "docker's imagedb: the configuration of image sha256:"},
  };
  return rows;
}

TEST_CASE("a docker store that disagrees with itself or the kernel claims nothing",
          "[agent][unit]") {
  for (const Forgery& row : forgeries()) {
    INFO(row.name);
    DockerTree tree;
    row.forge(tree);
    const RunClaims claims = tree.look_up().value();
    REQUIRE_FALSE(claims.conflicts.empty());
    CHECK_THAT(claims.conflicts.front(), Catch::Contains(row.conflict));
    CHECK(claims_of(claims, tree.start) == kNothing);
  }
}

TEST_CASE("a configuration that lists other diff IDs is told, whoever made it", "[agent][unit]") {
  // Everything agrees but the layers: an image and a container that were put together.
  DockerTree tree;
  std::string config = tree.text(tree.image_file());
  const std::size_t at = config.find(tree.list("diff_ids")[1]);
  config.replace(at, 71, tree.list("diff_ids")[2]);
  const std::string digest = sha256(config).text();
  tree.replace("containers/" + tree.id + "/config.v2.json", tree.fact("config_digest"), digest);
  tree.write("image/overlay2/imagedb/content/sha256/" + digest.substr(7), config);
  REQUIRE(tree.conflicts().size() == 1);
  CHECK(tree.conflicts()[0] == "docker's imagedb: the image's configuration says that layer 2 is " +
                                   tree.list("diff_ids")[2] + ", the store says " +
                                   tree.list("diff_ids")[1]);
}

TEST_CASE("a container on more layers than docker knows is told with them", "[agent][unit]") {
  DockerTree tree;
  tree.start = tree.container(
      {tree.folders[0], "added", tree.folders[1], tree.folders[2], tree.folders[3]}, tree.upper);
  CHECK(tree.conflicts().size() == 2);
  CHECK(tree.conflicts()[0] == "docker's record: it names 4 layers, the container stands on 5");
  CHECK_THAT(tree.conflicts()[1], Catch::Contains("layer 2 (") && Catch::Contains("/added) of"));
}

TEST_CASE("another root in the container's cgroup is not in docker's record", "[agent][unit]") {
  DockerTree tree;
  tree.start = tree.container({"inner/a", "inner/b"}, "inner/upper");
  const RunClaims claims = tree.look_up().value();
  CHECK(claims.conflicts == Texts{});
  CHECK(claims.layers.empty());
  CHECK(claims.names.image == tree.fact("image"));
  CHECK_FALSE(claims.names.is_bound_to_kernel);  // names of a container that this is not
  const DockerTree own;
  CHECK(own.look_up()->names.are_confirmed());
}

TEST_CASE("what is no container of docker's has no record", "[agent][unit]") {
  const std::vector<std::pair<const char*, std::function<void(DockerTree&)>>> rows = {
      {"gone", [](DockerTree& t) { std::filesystem::remove_all(t.path("containers")); }},
      {"truncated",
       [](DockerTree& t) {
         const std::string file = "containers/" + t.id + "/config.v2.json";
         t.write(file, t.text(file).substr(0, 1000));
       }},
      {"too large",
       [](DockerTree& t) {
         std::filesystem::resize_file(t.path("containers/" + t.id + "/config.v2.json"), 2'000'000);
       }},
      {"a list", [](DockerTree& t) { t.write("containers/" + t.id + "/config.v2.json", "7"); }},
  };
  for (const auto& [name, forge] : rows) {
    INFO(name);
    DockerTree tree;
    forge(tree);
    CHECK_FALSE(tree.look_up());
  }
}

TEST_CASE("a record without a mount that can be read says names only", "[agent][unit]") {
  const std::vector<std::function<void(DockerTree&)>> rows = {
      [](DockerTree& t) { std::filesystem::remove_all(t.path(t.mount_file(""))); },
      [](DockerTree& t) { t.write(t.mount_file("mount-id"), "../../../etc"); },
      [](DockerTree& t) { t.write(t.mount_file("init-id"), "a/../b"); },
      [](DockerTree& t) {
        t.replace("containers/" + t.id + "/config.v2.json", "\"Driver\":\"overlay2\"",
                  "\"Driver\":\"../../x\"");
      },
      [](DockerTree& t) { t.start.layers[0].is_data_only = true; },  // composefs
      [](DockerTree& t) { t.start.layers[1].magic = 0xE0F5E1E2; },   // an erofs image
      [](DockerTree& t) { t.start.layers[1].magic = 0x65735546; },   // a lazy layer
  };
  for (const auto& forge : rows) {
    DockerTree tree;
    forge(tree);
    const RunClaims claims = tree.look_up().value();
    CHECK(claims.conflicts == Texts{});
    CHECK(claims.layers.empty());
    CHECK(claims.names.image == tree.fact("image"));
  }
}

TEST_CASE("an image that went while its container stays leaves the layers' claims",
          "[agent][unit]") {
  DockerTree tree;
  std::filesystem::remove(tree.path(tree.image_file()));
  CHECK(tree.conflicts() == Texts{});
  CHECK(tree.claims()[0] == tree.list("diff_ids")[0] + " " + tree.chain(0));
  CHECK_FALSE(tree.look_up()->names.config_digest);  // nobody showed its bytes
}

TEST_CASE("claims of a store that others may write are for display", "[agent][unit]") {
  for (const char* folder : {"image/overlay2/layerdb", "overlay2", "containers", ""}) {
    INFO(folder);
    DockerTree tree;
    ::chmod(tree.path(folder).c_str(), 0777);
    const RunClaims claims = tree.look_up().value();
    REQUIRE(claims.layers.size() == 3);
    for (const LayerClaim& claim : claims.layers)
      CHECK(claim.is_for_display);
    CHECK_FALSE(claims.names.are_confirmed());
  }
  if (::geteuid() != 0) return;  // only root gives files away
  DockerTree tree;
  REQUIRE(::chown(tree.path(tree.layer_file(tree.chain(0), "diff")).c_str(), 1000, 0) == 0);
  CHECK(tree.look_up()->layers.front().is_for_display);
}

TEST_CASE("names, ids and digests of an image are not mixed up", "[agent][unit]") {
  DockerTree tree;
  const std::string config = "containers/" + tree.id + "/config.v2.json";
  const std::string index = "sha256:" + std::string(64, 'd');
  const std::string manifest = "sha256:" + std::string(64, 'e');
  // Run by its id: then the one name that leads to it is its name.
  tree.replace(config, "\"Image\":\"docker.io/library/three:1\"",
               "\"Image\":\"" + tree.fact("config_digest").substr(7, 16) + "\"");
  tree.write("image/overlay2/repositories.json",
             R"({"Repositories":{"three":{"three:1":")" + tree.fact("config_digest") +
                 R"(","three@)" + index + R"(":")" + tree.fact("config_digest") +
                 R"("},"other":{"other:1":")" + manifest + R"("}}})");
  ContainerNames names = tree.look_up()->names;
  CHECK(names.image == "three:1");
  CHECK(names.repo_digest->text() == index);
  CHECK(names.config_digest->text() == tree.fact("config_digest"));
  CHECK_FALSE(names.manifest_digest);

  // docker 28 and later say which manifest they unpacked; that of an index is none.
  tree.replace(
      config, "\"Driver\"",
      R"("ImageManifest":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":")" +
          manifest + R"(","size":7},"Driver")");
  CHECK(tree.look_up()->names.manifest_digest->text() == manifest);
  tree.replace(config, "image.manifest.v1", "image.index.v1");
  CHECK_FALSE(tree.look_up()->names.manifest_digest);
}

TEST_CASE("of docker's vfs the one directory has the chain ID of all its layers", "[agent][unit]") {
  DockerTree tree;
  std::filesystem::rename(tree.path("image/overlay2"), tree.path("image/vfs"));
  tree.replace("containers/" + tree.id + "/config.v2.json", "\"Driver\":\"overlay2\"",
               "\"Driver\":\"vfs\"");
  const std::string mount_id = tree.text("image/vfs/layerdb/mounts/" + tree.id + "/mount-id");
  const LowerLayer root = layer_at(tree.make_directory("vfs/dir/" + mount_id));
  tree.start = {};
  tree.start.key.root = {root.device, root.inode, root.generation, root.magic};
  const RunClaims claims = tree.look_up().value();
  CHECK(claims.conflicts == Texts{});
  REQUIRE(claims.layers.size() == 1);
  CHECK(claims.layers[0].ref == ref_of(root));
  CHECK(claims.layers[0].chain_id->text() == tree.chain(2));
  CHECK_FALSE(claims.layers[0].diff_id);  // three layers are in it
}

}  // namespace
}  // namespace assay::agent
