// SPDX-License-Identifier: Apache-2.0
// One image, packed by real tools and unpacked by real runtimes: the same digests everywhere.
// ASSAY_TEST_BASE names a root file system to use as the bottom layer; without it a small tree with
// one of each kind of entry is made.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <cstdlib>
#include <filesystem>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/image.h"
#include "tests/support/needs.h"
#include "tests/support/runtimes.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using namespace assay::tests;

namespace assay::tests {
std::string missing_need() {
  for (const char* runtime : {"docker", "containerd", "podman"})
    if (std::string missing = missing_for_runtime(runtime); !missing.empty()) return missing;
  for (const char* program : {"umoci", "skopeo", "tar", "gzip", "busybox"})
    if (!has_program(program)) return std::string("needs ") + program;
  return {};
}
}  // namespace assay::tests

namespace {

constexpr const char* kName = "localhost/assay/fingerprint:1";

void set_time(const std::string& path, std::int64_t seconds, long nanoseconds) {
  const timespec times[2] = {{seconds, nanoseconds}, {seconds, nanoseconds}};
  REQUIRE(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

void make_varied_tree(const std::string& root) {
  std::filesystem::create_directories(root + "/bin");
  std::filesystem::create_directories(root + "/var/lib/app/sub");
  std::filesystem::create_directories(root + "/private");
  std::filesystem::create_directories(root + "/etc");
  ::chmod((root + "/private").c_str(), 0700);
  ::chmod(root.c_str(), 0711);
  std::filesystem::copy_file(must_run({"sh", "-c", "command -v busybox"}), root + "/bin/busybox");
  std::filesystem::create_symlink("busybox", root + "/bin/sh");
  std::filesystem::create_hard_link(root + "/bin/busybox", root + "/bin/sleep");
  write_bytes(root + "/etc/os-release", "NAME=Varied\n");
  write_bytes(root + "/etc/empty", "");
  write_bytes(root + "/var/lib/app/old", std::string(300'000, 'o'));
  write_bytes(root + "/var/lib/app/sub/deep", "deep");
  write_bytes(root + "/private/\xff\xfe name", "not UTF-8");
  write_bytes(root + "/" + std::string(200, 'n'), "long name");
  write_bytes(root + "/setuid", "#!/bin/sh\n");
  REQUIRE(::chown((root + "/setuid").c_str(), 3'000'000, 2'500'000) == 0);
  ::chmod((root + "/setuid").c_str(), 06755);
  set_time(root + "/setuid", 1'234'567'890, 987'654'321);
  REQUIRE(::mkfifo((root + "/pipe").c_str(), 0640) == 0);
  REQUIRE(::mknod((root + "/null").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0);
  REQUIRE(::mknod((root + "/disk").c_str(), S_IFBLK | 0660, makedev(8, 0)) == 0);
  REQUIRE(::lchown((root + "/bin/sh").c_str(), 12, 34) == 0);
  set_time(root + "/bin/sh", 1'000'000'000, 5);
  const std::string capability(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00",
      20);  // cap_net_raw+ep
  write_bytes(root + "/ping", "elf");
  REQUIRE(::setxattr((root + "/ping").c_str(), "security.capability", capability.data(),
                     capability.size(), 0) == 0);
}

// What an application's layer does: new files without their folders, a whiteout, an opaque folder.
std::string application_layer() {
  const auto item = [](const std::string& name, const std::string& data) {
    TarItem made;
    made.name = name;
    made.data = data;
    return made;
  };
  return TarBuilder()
      .add(item("opt/app/bin/run", "#!/bin/sh\n"))
      .add(item("etc/.wh.os-release", ""))
      .add(item("var/lib/app/.wh..wh..opq", ""))
      .add(item("var/lib/app/new", "new"))
      .finish();
}

// The image in every form, made once for all cases.
class TestImage {
 public:
  TestImage() {
    const char* base = std::getenv("ASSAY_TEST_BASE");
    std::string tree = base == nullptr ? std::string() : base;
    if (tree.empty()) {
      tree = folder_ / "tree";
      std::filesystem::create_directories(tree);
      make_varied_tree(tree);
    }
    must_run({"tar", "-C", tree, "--numeric-owner", "--format=pax", "--xattrs",
              "--xattrs-include=*", "-cf", folder_ / "base.tar", "."});
    write_bytes(folder_ / "app.tar", application_layer());
    const std::string image = layout() + ":1";
    must_run({"umoci", "init", "--layout", layout()});
    must_run({"umoci", "new", "--image", image});
    must_run({"umoci", "raw", "add-layer", "--image", image, folder_ / "base.tar"});
    must_run({"umoci", "raw", "add-layer", "--image", image, folder_ / "app.tar"});
    must_run({"umoci", "gc", "--layout", layout()});
    must_run({"skopeo", "copy", "oci:" + image, "oci-archive:" + oci_archive() + ":1"});
    must_run({"skopeo", "copy", "oci:" + image,
              "docker-archive:" + docker_archive() + ":" + std::string(kName)});
    must_run({"gzip", "--keep", oci_archive()});
  }
  std::string layout() const { return folder_ / "layout"; }
  std::string oci_archive() const { return folder_ / "oci.tar"; }
  std::string docker_archive() const { return folder_ / "docker.tar"; }

 private:
  TempFolder folder_{"image"};
};

const TestImage& test_image() {
  static const TestImage image;
  return image;
}

Image must_read(const std::string& source) {
  auto image = read_image(source, {}, {});
  if (!image) FAIL(image.error().text());
  return *image;
}

LayerFingerprint must_walk(const std::string& path) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  auto layer = fingerprint_directory(root.get(), {}, {});
  if (!layer) FAIL(layer.error().text());
  return *layer;
}

}  // namespace

TEST_CASE("an image has the same layers in every file format", "[image][runtime]") {
  const Image wanted = must_read(test_image().layout());
  REQUIRE(wanted.layers.size() == 2);
  CHECK(wanted.layers[0].fingerprint.content_bytes > 0);
  for (const std::string& source : {test_image().oci_archive(), test_image().oci_archive() + ".gz",
                                    test_image().docker_archive()}) {
    CAPTURE(source);
    const Image image = must_read(source);
    REQUIRE(image.layers.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
      CHECK(image.layers[i].diff_id == wanted.layers[i].diff_id);
      CHECK(image.layers[i].chain_id == wanted.layers[i].chain_id);
      CHECK(image.layers[i].fingerprint.shape == wanted.layers[i].fingerprint.shape);
      CHECK(image.layers[i].fingerprint.content == wanted.layers[i].fingerprint.content);
      CHECK(image.layers[i].fingerprint.deletions == wanted.layers[i].fingerprint.deletions);
    }
  }
}

TEST_CASE("a layer unpacked by a runtime has the digests of its tar", "[image][runtime]") {
  const std::string name = GENERATE("docker", "containerd", "podman");
  CAPTURE(name);
  const Image image = must_read(test_image().layout());
  const auto runtime = start_runtime(name);
  runtime->load(test_image().docker_archive());
  const auto folders = runtime->layer_directories(kName, image.layers.back().chain_id->text());
  REQUIRE(folders.size() == image.layers.size());
  for (std::size_t i = 0; i < folders.size(); ++i) {
    CAPTURE(i, folders[i]);
    const LayerFingerprint wanted = image.layers[i].fingerprint;
    const LayerFingerprint unpacked = must_walk(folders[i]);
    CHECK(unpacked.entries == wanted.entries);
    CHECK(unpacked.shape == wanted.shape);
    CHECK(unpacked.content == wanted.content);
    CHECK(unpacked.deletions == wanted.deletions);
    CHECK_FALSE(unpacked.has_redirects);
    CHECK_FALSE(unpacked.is_runtime_injected);
  }
}

TEST_CASE("of a container's layers only docker's own is told as injected", "[image][runtime]") {
  if (std::getenv("ASSAY_TEST_BASE") != nullptr) return;  // another base may have no such program
  const std::string name = GENERATE("docker", "containerd", "podman");
  CAPTURE(name);
  const auto runtime = start_runtime(name);
  runtime->load(test_image().docker_archive());
  const std::string id = runtime->start(kName, "one", {"/bin/sleep", "600"});
  const auto folders = runtime->container_directories(name == "containerd" ? "one" : id);
  std::size_t injected = 0;
  for (const std::string& folder : folders)
    injected += must_walk(folder).is_runtime_injected ? 1 : 0;
  CHECK(injected == (name == "docker" ? 1 : 0));
  CHECK(folders.size() == (name == "docker" ? 3 : 2));
  if (name == "docker") CHECK(must_walk(folders.back()).is_runtime_injected);
  runtime->remove("one");
}
