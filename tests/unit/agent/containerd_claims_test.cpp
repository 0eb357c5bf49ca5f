// SPDX-License-Identifier: Apache-2.0
// What is believed of containerd's answers, and how long is waited for them.
#include "agent/runtime/containerd/claims.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <functional>

#include "agent/rootfs/kernel_directories.h"
#include "agent/runtime/containerd/mount_options.h"
#include "common/image/oci_json.h"
#include "tests/unit/agent/fake_containerd.h"
#include "tests/unit/agent/store_tree.h"

namespace assay::agent {
namespace {

using namespace std::chrono_literals;
using namespace tests;
using Texts = std::vector<std::string>;

const std::string kSnapshots = "io.containerd.snapshotter.v1.overlayfs/snapshots/";
const std::string kBlobs = "io.containerd.content.v1.content/blobs/sha256/";
const std::string kName = "docker.io/library/three:1";

std::string manifest_of(const std::string& config, const std::string& layers = "") {
  return R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":")" +
         config + R"(","size":2},"layers":[)" + layers + "]}";
}

/// A container "web" on three layers, and a containerd that knows all about it.
class Here {
 public:
  Here() : containerd(scratch.path("c.sock")) {
    std::string lowers;
    std::string diff_texts;
    std::optional<ChainId> chain;
    for (int i = 0; i < 3; ++i) {
      folders.push_back(scratch.path(kSnapshots + "" + std::to_string(i) + "/fs"));
      std::filesystem::create_directories(folders.back());
      start.layers.push_back(layer_at(folders.back()));
      lowers = folders.back() + (lowers.empty() ? "" : ":") + lowers;
      diff_ids.push_back(DiffId{sha256("layer " + std::to_string(i)).bytes});
      diff_texts += (i == 0 ? "\"" : ",\"") + diff_ids.back().text() + "\"";
      const std::string parent = chain ? chain->text() : "";
      chain = image::chain_id_of(chain, diff_ids.back());
      chains.push_back(chain->text());
      containerd.parents[chains.back()] = parent;
    }
    upper = scratch.path(kSnapshots + "9/fs");
    std::filesystem::create_directories(upper);
    const LowerLayer own = layer_at(upper);
    start.is_overlay = true;
    start.key.root = {42, own.inode, own.generation, 0x794c7630};
    start.cgroup_path = "/default/web";
    containerd.parents["web"] = chains[2];
    auto& mount = containerd.mounts["web"];
    mount.set_type("overlay");
    mount.set_source("overlay");
    for (const std::string& option : {std::string("index=off"), "workdir=" + upper + "/../work",
                                      "upperdir=" + upper, "lowerdir=" + lowers})
      mount.add_options(option);
    config = containerd.add_blob(R"({"rootfs":{"type":"layers","diff_ids":[)" + diff_texts + "]}}");
    containerd.label("containerd.io/gc.ref.snapshot.overlayfs", chains[2], config);
    manifest = containerd.add_blob(manifest_of(config));
    containerd.images[kName] = manifest;
    auto& container = containerd.containers["default/web"];
    container.set_id("web");
    container.set_image(kName);
    container.set_snapshotter("overlayfs");
    container.set_snapshot_key("web");
    names.container_id = "web";
    names.runtime = "containerd";
  }

  ContainerdClaims source(ContainerdOptions options = {}) const {
    options.sockets = {scratch.path("c.sock")};
    return ContainerdClaims(std::move(options));
  }
  std::optional<RunClaims> look_up() const {
    auto asked = source();
    return look_up(asked);
  }
  std::optional<RunClaims> look_up(ContainerdClaims& asked,
                                   const std::stop_token& stop = {}) const {
    KernelDirectories check;
    const KernelLayers kernel(start, check);
    const ClaimTask task{"run", start, names};
    const auto record = asked.read(task, kernel, stop);
    if (!record) return std::nullopt;
    return compare(task, *record, kernel);
  }
  Texts expected() const {
    Texts texts;
    for (std::size_t i = 0; i < 3; ++i)
      texts.push_back(diff_ids[i].text() + " " + chains[i]);
    return texts;
  }

  Scratch scratch;
  FakeContainerd containerd;
  ContainerStart start;
  ContainerNames names;
  Texts folders;
  std::string upper;
  std::vector<DiffId> diff_ids;
  Texts chains;
  std::string config;
  std::string manifest;
};

using Labels = std::map<std::string, std::string>;

void add_label(containerd::services::containers::v1::Container& container, const std::string& key,
               const std::string& value) {
  auto* label = container.add_labels();
  label->set_key(key);
  label->set_value(value);
}

/// Makes the container one of a pod, as the CRI plugin keeps it: with the image's labels on both.
void put_into_pod(Here& here, const std::string& sandbox) {
  auto& container = here.containerd.containers["default/web"];
  container.mutable_spec()->set_value(R"({"annotations":{"io.kubernetes.cri.sandbox-id":")" +
                                      sandbox + R"("}})");
  add_label(container, "io.kubernetes.container.name", "till");
  auto& pod = here.containerd.containers["default/" + sandbox];
  pod.set_id(sandbox);
  add_label(pod, "owner", "the pause image");
  auto* extension = pod.add_extensions();
  extension->set_key("io.cri-containerd.sandbox.metadata");
  extension->mutable_value()->set_value(
      R"({"Version":"v1","Metadata":{"ID":"pod","Config":{"labels":{"app":"shop"},)"
      R"("annotations":{"owner":"team-a"}}}})");
}

TEST_CASE("labels are the pod's, and not those of its images", "[agent][unit]") {
  Here here;
  auto& container = here.containerd.containers["default/web"];
  add_label(container, "owner", "the image");
  container.mutable_spec()->set_value("{}");
  SECTION("no pod") {
    const auto claims = here.look_up();
    REQUIRE(claims);
    CHECK(claims->names.labels == Labels{{"owner", "the image"}});
  }
  SECTION("no pod, and an image that says it is in one") {
    put_into_pod(here, "pod-1");
    container.mutable_spec()->set_value("{}");
    add_label(container, "io.kubernetes.cri.sandbox-id", "pod-1");
    const auto claims = here.look_up();
    REQUIRE(claims);
    CHECK(claims->names.labels.at("owner") == "the image");
    CHECK_FALSE(claims->names.labels.contains("app"));
  }
  SECTION("nobody can tell whether in a pod") {
    container.mutable_spec()->set_value(GENERATE(std::string("{"), std::string(2U << 20, ' ')));
    const auto claims = here.look_up();
    REQUIRE(claims);
    CHECK(claims->names.labels.empty());
  }
  SECTION("in a pod") {
    put_into_pod(here, "pod-1");
    const auto claims = here.look_up();
    REQUIRE(claims);
    CHECK(claims->names.labels == Labels{{"app", "shop"},
                                         {"owner", "team-a"},
                                         {"io.kubernetes.container.name", "till"},
                                         {"io.kubernetes.cri.sandbox-id", "pod-1"}});
    CHECK(claims->layers.size() == 3);
  }
  SECTION("in the pod of a sandbox that is gone, that is another container, or has no id") {
    const std::string sandbox = GENERATE("gone", "other", "a b");
    put_into_pod(here, sandbox);
    if (sandbox == "gone") here.containerd.containers.erase("default/gone");
    here.containerd.containers["default/other"].clear_extensions();
    const auto claims = here.look_up();
    REQUIRE(claims);
    CHECK(claims->names.labels.at("io.kubernetes.container.name") == "till");
    CHECK_FALSE(claims->names.labels.contains("owner"));
    CHECK(claims->layers.size() == 3);
  }
}

TEST_CASE("containerd claims the image's true diff and chain IDs", "[agent][unit]") {
  Here here;
  const RunClaims claims = here.look_up().value();
  CHECK(claims.conflicts == Texts{});
  CHECK(claims_of(claims, here.start) == here.expected());
  CHECK(claims.names.image == kName);
  CHECK(claims.names.config_digest->text() == here.config);
  CHECK(claims.names.manifest_digest->text() == here.manifest);
  CHECK(claims.names.repo_digest->text() == here.manifest);
  CHECK(claims.names.image_id.empty());  // containerd has none
  for (const LayerClaim& claim : claims.layers)
    CHECK(claim.is_for_display == (::geteuid() != 0));
}

TEST_CASE("containerd's content store has the blobs of its layers", "[agent][unit]") {
  Here here;
  Texts blobs;
  const auto check = [&] {
    const RunClaims claims = here.look_up().value();
    REQUIRE(claims.layers.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
      const StreamPlace& stream = claims.layers[i].stream;
      CHECK(stream.kind == StreamPlace::Kind::kBlob);
      CHECK(stream.store.ends_with(here.scratch.path()));
      CHECK(stream.path == kBlobs + blobs[i].substr(7));
    }
  };
  for (const DiffId& diff_id : here.diff_ids)
    blobs.push_back(diff_id.text());  // never compressed: nothing else is known of them
  check();
  for (std::size_t i = 0; i < 3; ++i) {
    blobs[i] = sha256("labelled " + std::to_string(i)).text();
    here.containerd.label("containerd.io/uncompressed", here.diff_ids[i].text(), blobs[i]);
  }
  check();
  std::string layers;
  for (std::size_t i = 0; i < 3; ++i) {
    blobs[i] = sha256("listed " + std::to_string(i)).text();
    layers += (i == 0 ? "" : ",") + (R"({"digest":")" + blobs[i] + R"(","size":1})");
  }
  here.containerd.images[kName] = here.containerd.add_blob(manifest_of(here.config, layers));
  check();
}

TEST_CASE("of an index the one manifest that is here is the image's", "[agent][unit]") {
  Here here;
  const std::string other = sha256("of another platform").text();
  const std::string index =
      here.containerd.add_blob(R"({"schemaVersion":2,"manifests":[{"digest":")" + other +
                               R"(","size":1},{"digest":")" + here.manifest + R"(","size":1}]})");
  here.containerd.images[kName] = index;
  const ContainerNames names = here.look_up()->names;
  CHECK(names.repo_digest->text() == index);
  CHECK(names.manifest_digest->text() == here.manifest);
  CHECK(names.config_digest->text() == here.config);
}

TEST_CASE("a tag that moved on says nothing of the container", "[agent][unit]") {
  Here here;
  here.containerd.images[kName] =
      here.containerd.add_blob(manifest_of(here.containerd.add_blob(R"({"rootfs":{}})")));
  ContainerNames names = here.look_up()->names;
  CHECK(names.config_digest->text() == here.config);  // the only one with these layers
  CHECK_FALSE(names.manifest_digest);
  CHECK_FALSE(names.repo_digest);
  CHECK(claims_of(*here.look_up(), here.start) == here.expected());

  // A second image of the same layers: nobody knows which of the two was meant.
  const std::string twin = here.containerd.add_blob(here.containerd.blobs.at(here.config) + "\n");
  here.containerd.label("containerd.io/gc.ref.snapshot.overlayfs", here.chains[2], twin);
  CHECK_FALSE(here.look_up()->names.config_digest);
  here.containerd.images[kName] = here.containerd.add_blob(manifest_of(twin));
  CHECK(here.look_up()->names.config_digest->text() == twin);
}

TEST_CASE("docker's containers are found by their id in docker's namespace", "[agent][unit]") {
  Here here;
  here.names.runtime = "docker";
  here.names.image_id = here.manifest;
  here.start.cgroup_path = "/docker/web";
  containerd::services::containers::v1::Container bare;  // docker leaves the rest to itself
  bare.set_id("web");
  here.containerd.containers = {{"moby/web", bare}};
  const std::string init = here.scratch.path(kSnapshots + "8/fs");
  std::filesystem::create_directories(init);
  here.start.layers.push_back(layer_at(init));
  here.containerd.parents["web"] = "web-init";
  here.containerd.parents["web-init"] = here.chains[2];
  auto& mount = here.containerd.mounts["web"];
  mount.set_options(3, "lowerdir=" + init + ":" + mount.options(3).substr(9));
  const RunClaims claims = here.look_up().value();
  CHECK(claims.conflicts == Texts{});
  Texts expected = here.expected();
  expected.emplace_back("- -");
  CHECK(claims_of(claims, here.start) == expected);
  CHECK(claims.names.config_digest->text() == here.config);
  CHECK(claims.names.manifest_digest->text() == here.manifest);
}

TEST_CASE("a layer that containerd made for a user namespace claims nothing", "[agent][unit]") {
  Here here;
  const std::string copy = here.scratch.path(kSnapshots + "8/fs");
  std::filesystem::create_directories(copy);
  here.start.layers.push_back(layer_at(copy));
  const std::string key = here.chains[2] + "-200000-200000";
  here.containerd.parents["web"] = key;
  here.containerd.parents[key] = here.chains[2];
  auto& mount = here.containerd.mounts["web"];
  mount.set_options(3, "lowerdir=" + copy + ":" + mount.options(3).substr(9));
  Texts expected = here.expected();
  expected.emplace_back("- -");
  CHECK(claims_of(*here.look_up(), here.start) == expected);
  CHECK(here.look_up()->names.config_digest->text() == here.config);
}

TEST_CASE("a Kubernetes container is found by its id, named by its annotations", "[agent][unit]") {
  Here here;
  const std::string id(64, 'a');
  here.start.cgroup_path = "/kubepods.slice/cri-containerd-" + id + ".scope";
  here.names.container_id = id;
  auto container = here.containerd.containers.at("default/web");
  container.set_id(id);
  container.mutable_spec()->set_value(
      R"({"annotations":{"io.kubernetes.cri.sandbox-name":"web-0","io.kubernetes.cri.container-name":"web"}})");
  here.containerd.spaces = {"default", "tenant", "k8s.io"};
  for (const char* space : {"k8s.io", "tenant"}) {
    INFO(space);
    here.containerd.containers = {{std::string(space) + "/" + id, container}};
    const RunClaims claims = here.look_up().value();
    CHECK(claims.names.name == "web");
    CHECK(claims.names.pod_name == "web-0");
    CHECK(claims.layers.size() == 3);
  }
}

struct Lie {
  const char* name;
  std::function<void(Here&)> tell;
  const char* conflict;  ///< "" : nothing is claimed, and nobody is accused
};

const std::vector<Lie>& lies() {
  static const std::vector<Lie> rows = {
      {"a chain of parents without an end",
       [](Here& h) { h.containerd.parents[h.chains[0]] = h.chains[2]; },
       "containerd's snapshots: the chain of parents of the container's snapshot has no end"},
      {"fewer parents than directories", [](Here& h) { h.containerd.parents["web"] = h.chains[1]; },
       "containerd's snapshots: the container's snapshot has 2 parents, its mount 3 lower "
       "directories"},
      {"directories in another order",
       [](Here& h) {
         h.containerd.mounts["web"].set_options(
             3, "lowerdir=" + h.folders[1] + ":" + h.folders[2] + ":" + h.folders[0]);
       },
       "containerd's record: its layers are in another order"},
      {"another directory",
       [](Here& h) {
         const std::string other = h.scratch.path("other");
         std::filesystem::create_directories(other);
         h.containerd.mounts["web"].set_options(
             3, "lowerdir=" + h.folders[2] + ":" + other + ":" + h.folders[0]);
       },
       "containerd's record: layer 2 ("},
      {"a directory that is not there",
       [](Here& h) {
         h.containerd.mounts["web"].set_options(
             3, "lowerdir=" + h.folders[2] + ":/no/such:" + h.folders[0]);
       },
       "containerd's record: layer 2 ("},
      {"a chain ID that the configuration does not give",
       [](Here& h) {
         const std::string false_chain = sha256("false").text();
         h.containerd.parents[h.chains[2]] = false_chain;
         h.containerd.parents[false_chain] = h.chains[0];
       },
       "containerd's snapshots: layer 2 has another chain ID than the image's configuration"},
      {"another container's upper directory",
       [](Here& h) {
         const std::string other = h.scratch.path("other");
         std::filesystem::create_directories(other);
         h.containerd.mounts["web"].set_options(2, "upperdir=" + other);
       },
       ""},
      {"no mount at all", [](Here& h) { h.containerd.mounts.erase("web"); }, ""},
      {"a template instead of a path",
       [](Here& h) { h.containerd.mounts["web"].set_options(2, "upperdir={{ mount 0 }}"); }, ""},
      {"a device",
       [](Here& h) {
         h.containerd.mounts["web"].set_source("/dev/null");
         h.containerd.mounts["web"].set_type("ext4");
       },
       ""},
      {"answers about another container",
       [](Here& h) { h.containerd.containers["default/web"].set_id("db"); }, ""},
  };
  return rows;
}

TEST_CASE("a containerd that contradicts itself or the kernel claims nothing", "[agent][unit]") {
  for (const Lie& row : lies()) {
    INFO(row.name);
    Here here;
    row.tell(here);
    const auto claims = here.look_up();
    if (std::string(row.conflict).empty()) {
      CHECK((!claims || (claims->conflicts.empty() && claims->layers.empty())));
      continue;
    }
    REQUIRE(claims);
    REQUIRE_FALSE(claims->conflicts.empty());
    CHECK_THAT(claims->conflicts.front(), Catch::Contains(row.conflict));
    CHECK(claims->layers.empty());
  }
}

TEST_CASE("content is believed only with the digest that it is named by", "[agent][unit]") {
  Here here;
  SECTION("a configuration with other bytes") {
    here.containerd.blobs[here.config] += " ";
  }
  SECTION("a configuration of other layers") {
    const std::string other = here.containerd.add_blob(R"({"rootfs":{"diff_ids":[]}})");
    here.containerd.labelled.clear();
    here.containerd.label("containerd.io/gc.ref.snapshot.overlayfs", here.chains[2], other);
  }
  SECTION("no JSON") {
    const std::string other = here.containerd.add_blob("\xff{");
    here.containerd.labelled.clear();
    here.containerd.label("containerd.io/gc.ref.snapshot.overlayfs", here.chains[2], other);
  }
  SECTION("a digest that is none") {
    here.containerd.labelled.clear();
    here.containerd.label("containerd.io/gc.ref.snapshot.overlayfs", here.chains[2], "../../x");
  }
  SECTION("a configuration of 5 MB") {
    const std::string large = here.containerd.add_blob(std::string(5 << 20, ' '));
    here.containerd.labelled.clear();
    here.containerd.label("containerd.io/gc.ref.snapshot.overlayfs", here.chains[2], large);
  }
  SECTION("a stream without an end") {
    here.containerd.is_endless = true;
  }
  auto asked = here.source({.deadline = 2s});
  const RunClaims claims = here.look_up(asked).value();
  CHECK(claims.conflicts == Texts{});
  CHECK_FALSE(claims.names.config_digest);
  REQUIRE(claims.layers.size() == 3);  // the snapshots' names are chain IDs all the same
  CHECK(claims.layers[2].chain_id->text() == here.chains[2]);
  CHECK_FALSE(claims.layers[2].diff_id);
}

TEST_CASE("names that are none for containerd are not asked about", "[agent][unit]") {
  for (const char* space : {"de\nfault", "\xff", "a b"}) {
    Here here;
    here.start.cgroup_path = std::string("/") + space + "/web";
    CHECK_FALSE(here.look_up());
    here.start.cgroup_path = "/x/cri-containerd-" + std::string(64, 'a') + ".scope";
    here.containerd.spaces = {space, "default"};
    CHECK(here.look_up());  // whatever the server calls its namespaces
    here.names.container_id = std::string("web") + space + "\x01";
    CHECK_FALSE(here.look_up());
  }
}

TEST_CASE("a huge answer is no answer", "[agent][unit]") {
  Here here;
  here.containerd.containers["default/web"].mutable_spec()->set_value(std::string(8 << 20, '{'));
  CHECK_FALSE(here.look_up());
}

TEST_CASE("a call that never answers ends by the deadline, and the socket is left alone then",
          "[agent][unit]") {
  for (const char* call : {"container", "mounts", "stat"}) {
    INFO(call);
    Here here;
    here.containerd.hangs_in = call;
    auto asked = here.source({.longest_call = 50ms, .max_pause = 1h});
    CHECK_FALSE(here.look_up(asked));
    const int calls = here.containerd.calls;
    here.containerd.hangs_in.clear();
    CHECK_FALSE(here.look_up(asked));  // not asked
    CHECK(here.containerd.calls == calls);
  }
}

TEST_CASE("what comes after the deadline is left out, what came before counts", "[agent][unit]") {
  Here here;
  here.containerd.hangs_in = "read";
  auto asked = here.source({.longest_call = 1s});
  const auto claims = here.look_up(asked);
  REQUIRE(claims);
  CHECK(claims->layers.size() == 3);
  CHECK_FALSE(claims->names.config_digest);
}

TEST_CASE("a stop ends a call that hangs", "[agent][unit]") {
  Here here;
  here.containerd.hangs_in = "container";
  auto asked = here.source({.deadline = 1h, .longest_call = 1h});
  std::stop_source stop;
  std::jthread stopper([&] {
    while (here.containerd.calls == 0)
      std::this_thread::yield();
    stop.request_stop();
  });
  CHECK_FALSE(here.look_up(asked, stop.get_token()));
  here.containerd.hangs_in.clear();
  CHECK(here.look_up(asked));  // it was the stop, and not a deadline that leaves the socket alone
}

TEST_CASE("without a server nothing is claimed, and nobody else is asked", "[agent][unit]") {
  const Scratch scratch;
  ContainerdClaims asked({.sockets = {scratch.path("nothing.sock")}});
  ContainerStart start;
  start.cgroup_path = "/default/web";
  KernelDirectories check;
  const KernelLayers kernel(start, check);
  ClaimTask task{"run", start, {}};
  task.names.container_id = "web";
  task.names.runtime = "containerd";
  CHECK_FALSE(asked.read(task, kernel, {}));
  task.names.runtime = "podman";
  CHECK_FALSE(asked.read(task, kernel, {}));
}

TEST_CASE("the directories of an overlay are taken out of its options", "[agent][unit]") {
  const auto lowers = [](const Texts& options) {
    const auto folders = overlay_folders({"overlay", "overlay", options});
    return folders ? folders->lowers : Texts{"none"};
  };
  CHECK(lowers({"upperdir=/u", "lowerdir=/c:/b:/a"}) == Texts{"/a", "/b", "/c"});
  CHECK(lowers({"lowerdir=/with\\:colon:/a\\\\b", "upperdir=/u"}) == Texts{"/a\\b", "/with:colon"});
  CHECK(lowers({"upperdir=/u", "lowerdir+=/b", "lowerdir+=/a:x"}) == Texts{"/a:x", "/b"});
  for (const Texts& options :
       {Texts{"lowerdir=/a"}, Texts{"upperdir=/u"}, Texts{"upperdir=/u", "lowerdir="},
        Texts{"upperdir=u", "lowerdir=/a"}, Texts{"upperdir=/u", "lowerdir=a:/b"},
        Texts{"upperdir=/u", "lowerdir=/a::/data"},
        Texts{"upperdir=/u", "lowerdir=/a", "datadir+=/d"},
        Texts{"upperdir=/u", "lowerdir={{ overlay 0 3 }}"},
        Texts{"upperdir=/u", "lowerdir=" + std::string(2000, ':')}})
    CHECK(lowers(options) == Texts{"none"});
  CHECK_FALSE(overlay_folders({"bind", "/x", {"upperdir=/u", "lowerdir=/a"}}));
}

}  // namespace
}  // namespace assay::agent
