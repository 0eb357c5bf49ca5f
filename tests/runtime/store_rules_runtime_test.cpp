// SPDX-License-Identifier: Apache-2.0
// What stores and runtimes add to an image's layers, with the real ones: override attributes,
// overlayfs's own marks, layers that a runtime injects.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>

#include "tests/runtime/one_layer/subject.h"
#include "tests/support/needs.h"
#include "tests/support/runtimes.h"
#include "tests/support/store_runtimes.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::tests;

namespace assay::tests {
std::string missing_need() {
  return ::geteuid() == 0 ? "" : "needs root";
}
}  // namespace assay::tests

namespace {

image::LayerFingerprint walk(const std::string& folder, image::Dialect dialect) {
  image::WalkOptions options;
  options.dialect = dialect;
  return must_walk(folder, options);
}

// An overlay on `lower` in which a test does something; what it leaves in the upper.
class Union {
 public:
  explicit Union(const std::string& options) {
    for (const char* name : {"lower", "upper", "work", "merged"})
      std::filesystem::create_directory(folder_ / name);
    std::filesystem::create_directories(folder_ / "lower/folder/below");
    write_bytes(folder_ / "lower/file", std::string(10'000, 'x'));
    must_run({"mount", "-t", "overlay", "overlay", "-o",
              "lowerdir=" + (folder_ / "lower") + ",upperdir=" + (folder_ / "upper") +
                  ",workdir=" + (folder_ / "work") + options,
              folder_ / "merged"});
  }
  std::string merged(const std::string& name) const { return folder_ / "merged/" + name; }
  image::LayerFingerprint upper() const {
    must_run({"umount", folder_ / "merged"});
    return walk(folder_ / "upper", image::Dialect::kOverlay);
  }

 private:
  TempFolder folder_{"union"};
};

// The tar of a layer like docker's own, with one more entry, or with this one in another's place.
std::string like_dockers(const TarItem* other) {
  TarBuilder builder;
  const auto add = [&](const std::string& name, char type, const std::string& link = "") {
    if (other != nullptr && other->name == name) return;
    TarItem item;
    item.name = name;
    item.type = type;
    item.link = link;
    item.mode = 0755;
    builder.add(item);
  };
  for (const char* folder : {"dev/", "dev/pts/", "dev/shm/", "etc/", "proc/", "sys/"})
    add(folder, '5');
  for (const char* file :
       {".dockerenv", "dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf"})
    add(file, '0');
  add("etc/mtab", '2', "/proc/mounts");
  if (other != nullptr) builder.add(*other);
  return builder.finish();
}

// A docker archive of one image with these layers, and the directories that docker makes of it.
struct DockerLayers {
  std::unique_ptr<ContainerRuntime> docker;
  std::vector<std::string> folders;
};

DockerLayers unpack_with_docker(const std::vector<std::string>& tars) {
  const TempFolder folder("image");
  std::vector<ImageLayerBytes> layers;
  for (const std::string& tar : tars)
    layers.push_back({tar, "", ""});
  const char* const name = "localhost/assay/imitation:1";
  write_bytes(folder / "image.tar", pack(docker_files(layers, name)));
  DockerLayers made{start_runtime("docker"), {}};
  made.docker->load(folder / "image.tar");
  made.folders = made.docker->layer_directories(name, "");
  return made;
}

}  // namespace

TEST_CASE("podman's force_mask hides owners and modes from the disk, not from the fingerprint",
          "[image][runtime]") {
  if (const std::string missing = missing_for_store("podman-force-mask"); !missing.empty())
    return note_missing(missing);
  // podman 4 cannot unpack pipes and devices with it, and loses set-id bits and owners of links.
  const TempFolder folder("mask");
  const std::string tree = folder / "tree";
  std::filesystem::create_directories(tree + "/private");
  std::ofstream(tree + "/private/file") << "x";
  std::ofstream(tree + "/tool") << "y";
  std::filesystem::create_symlink("tool", tree + "/link");
  std::filesystem::create_hard_link(tree + "/private/file", tree + "/linked");
  REQUIRE(::chmod((tree + "/private").c_str(), 0700) == 0);
  REQUIRE(::chown((tree + "/tool").c_str(), 1234, 4321) == 0);
  REQUIRE(::chmod((tree + "/tool").c_str(), 0711) == 0);
  must_run({"tar", "-C", tree, "--numeric-owner", "-cf", folder / "tree.tar", "."});
  const std::string tar = read_bytes(folder / "tree.tar");
  const char* const name = "localhost/assay/mask:1";
  write_bytes(folder / "image.tar", pack(docker_files({{tar, "", ""}}, name)));
  const auto store = start_store("podman-force-mask");
  store->load(folder / "image.tar");
  const auto folders = store->directories(name, "");
  REQUIRE(folders.size() == 1);
  struct stat on_disk = {};
  REQUIRE(::stat((folders[0] + "/private/file").c_str(), &on_disk) == 0);
  CHECK((on_disk.st_mode & 07777) == 0755);  // so there is something to undo
  const auto wanted = must_read(folder / "image.tar").layers.at(0).fingerprint;
  const auto found = walk(folders[0], image::Dialect::kFuseOverlay);
  CHECK(found.shape == wanted.shape);
  CHECK(found.content == wanted.content);
  CHECK(walk(folders[0], image::Dialect::kOverlay).shape != wanted.shape);
}

TEST_CASE("overlayfs's redirect and metacopy marks are seen, its other marks mean nothing",
          "[image][runtime]") {
  SECTION("a moved folder") {
    Union layer(",redirect_dir=on");
    std::filesystem::rename(layer.merged("folder"), layer.merged("moved"));
    CHECK(layer.upper().has_redirects);
  }
  SECTION("a file of which only the mode was copied up") {
    Union layer(",metacopy=on");
    REQUIRE(::chmod(layer.merged("file").c_str(), 0700) == 0);
    CHECK(layer.upper().has_redirects);
  }
  SECTION("a moved file of which only the mode was copied up") {
    Union layer(",metacopy=on,redirect_dir=on");
    REQUIRE(::chmod(layer.merged("file").c_str(), 0700) == 0);
    std::filesystem::rename(layer.merged("file"), layer.merged("other"));
    CHECK(layer.upper().has_redirects);
  }
  SECTION("none of both, although the mount allows it") {
    Union layer(",metacopy=on,redirect_dir=on,index=on");
    std::filesystem::remove_all(layer.merged("folder"));
    std::filesystem::create_directory(layer.merged("folder"));
    write_bytes(layer.merged("folder/new"), "new");
    std::ofstream(layer.merged("file"), std::ios::app) << "more";
    CHECK_FALSE(layer.upper().has_redirects);
  }
}

TEST_CASE("a layer that docker adds is told with both of its stores", "[image][runtime]") {
  for (const std::string& store :
       {std::string("docker-remapped"), std::string("docker-containerd")}) {
    INFO(store);
    if (const std::string missing = missing_for_store(store); !missing.empty()) {
      note_missing(missing);
      continue;
    }
    const auto docker = start_store(store);
    docker->load(subject().docker_archive());
    const pid_t pid = docker->start(Subject::name(), "one", {"/bin/sleep", "600"});
    const auto lower = lower_directories_of(pid);
    REQUIRE(lower.size() == 3);
    CHECK_FALSE(must_walk(lower[0]).is_runtime_injected);
    CHECK_FALSE(must_walk(lower[1]).is_runtime_injected);
    CHECK(must_walk(lower[2]).is_runtime_injected);
  }
}

TEST_CASE("a layer that imitates docker's own but holds anything else is no injected layer",
          "[image][runtime]") {
  if (const std::string missing = missing_for_runtime("docker"); !missing.empty())
    return note_missing(missing);
  TarItem program;
  program.name = "usr/bin/tool";
  program.data = "#!/bin/sh\n";
  TarItem hosts;
  hosts.name = "etc/hosts.allow";
  TarItem config;
  config.name = "etc/resolv.conf";
  config.data = "nameserver 192.0.2.1\n";
  TarItem whiteout;
  whiteout.name = "etc/.wh.passwd";
  TarItem opaque;
  opaque.name = "etc/.wh..wh..opq";
  TarItem mtab;
  mtab.name = "etc/mtab";
  mtab.type = '2';
  mtab.link = "/etc/shadow";
  TarItem setuid;
  setuid.name = ".dockerenv";
  setuid.mode = 04755;
  const TarItem extras[] = {program, hosts, config, whiteout, opaque, mtab, setuid};
  std::vector<std::string> tars = {like_dockers(nullptr)};
  for (const TarItem& extra : extras)
    tars.push_back(like_dockers(&extra));
  const DockerLayers made = unpack_with_docker(tars);
  REQUIRE(made.folders.size() == tars.size());
  CHECK(must_walk(made.folders[0]).is_runtime_injected);  // nothing in it that could hide
  for (std::size_t i = 1; i < made.folders.size(); ++i) {
    INFO(extras[i - 1].name << " " << extras[i - 1].data << extras[i - 1].link);
    CHECK_FALSE(must_walk(made.folders[i]).is_runtime_injected);
  }
}
