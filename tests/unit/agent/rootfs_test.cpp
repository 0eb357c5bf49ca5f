// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "agent/rootfs/container_root.h"
#include "agent/rootfs/file_system.h"
#include "agent/rootfs/kernel_directories.h"
#include "agent/rootfs/layer_name.h"
#include "agent/rootfs/layer_opener.h"
#include "agent/rootfs/mount_table.h"
#include "common/base/file.h"
#include "common/base/process_stat.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;

/// What the kernel would say of the directory.
LowerLayer layer_of(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status {};
  REQUIRE(::fstat(fd.get(), &status) == 0);
  LowerLayer layer;
  layer.name = path;
  layer.magic = *magic_of(fd.get());
  layer.device = *superblock_device_of(fd.get(), "/proc/self");
  layer.inode = status.st_ino;
  layer.generation = generation_of(fd.get(), layer.magic).value_or(0);
  return layer;
}

std::uint64_t inode_of(int fd) {
  struct stat status {};
  REQUIRE(::fstat(fd, &status) == 0);
  return status.st_ino;
}

TEST_CASE("overlayfs's escapes are undone", "[agent][unit]") {
  CHECK(unescape_lower_name("/a/b") == "/a/b");
  CHECK(unescape_lower_name("/a\\:b") == "/a:b");
  CHECK(unescape_lower_name("/c\\,d") == "/c,d");
  CHECK(unescape_lower_name("/e\\\\f") == "/e\\f");
  CHECK(unescape_lower_name("/ends\\") == "/ends\\");
}

TEST_CASE("a name is used only when it means something after the mount", "[agent][unit]") {
  CHECK(is_usable_name("/var/lib/x", false));
  CHECK_FALSE(is_usable_name("/var/lib/x", true));
  CHECK_FALSE(is_usable_name("", false));
  CHECK_FALSE(is_usable_name("/", false));
  CHECK_FALSE(is_usable_name("l/ABC", false));
  CHECK_FALSE(is_usable_name("7", false));
  CHECK_FALSE(is_usable_name(std::string("/a\0b", 4), false));
}

TEST_CASE("mountinfo gives device and mount point, lines of another form are skipped",
          "[agent][unit]") {
  const auto entries = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt/with\\040space rw,noatime master:1 - ext3 /dev/root rw\n"
      "nonsense\n"
      "37 35 0:45 / /proc rw - proc proc rw\n"
      "38 35 x:y / /x rw - x x rw\n");
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].mount_id == 36);
  CHECK(entries[0].device == makedev(98, 0));
  CHECK(entries[0].mount_point == "/mnt/with space");
  CHECK(entries[0].root == "/mnt1");
  CHECK(entries[0].type == "ext3");
  CHECK(entries[1].device == makedev(0, 45));
}

TEST_CASE("a file system that nobody asked for is let go", "[agent][unit]") {
  MountFds used(std::chrono::hours(1));
  MountFds idle(std::chrono::milliseconds(-1));  // idle at once
  std::weak_ptr<const UniqueFd> kept;
  std::weak_ptr<const UniqueFd> let_go;
  const auto device = superblock_device_of(
      UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)).get(), "/proc/self");
  REQUIRE(device);
  {
    const auto one = used.find(*device);
    const auto other = idle.find(*device);
    if (!one && one.error().code == ErrorCode::kUnavailable) return;  // no mount that shows it
    REQUIRE(one);
    REQUIRE(other);
    kept = *one;
    let_go = *other;
  }
  CHECK_FALSE(let_go.expired());
  used.close_idle();
  idle.close_idle();
  CHECK_FALSE(kept.expired());
  CHECK(let_go.expired());
}

TEST_CASE("a layer is opened and named for the cache", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("layer"));
  const LowerLayer layer = layer_of(scratch.path("layer"));
  VerifyingLayerOpener opener("boot");
  const auto opened = opener.open(layer, {});
  REQUIRE(opened);
  CHECK(inode_of((*opened)->fd()) == layer.inode);
  CHECK((*opened)->instance().inode == layer.inode);
  CHECK((*opened)->instance().generation == layer.generation);
  CHECK(((*opened)->instance().file_system.starts_with("uuid:") ||
         (*opened)->instance().file_system.ends_with("@boot")));
}

TEST_CASE("a name with overlayfs's escapes leads to its directory", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("a:b"));
  LowerLayer layer = layer_of(scratch.path("a:b"));
  layer.name = scratch.path("a\\:b");
  CHECK(VerifyingLayerOpener("boot").open(layer, {}));
}

TEST_CASE("a link of the store leads to its directory", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directories(scratch.path("store/real"));
  std::filesystem::create_directories(scratch.path("store/l"));
  std::filesystem::create_symlink("../real", scratch.path("store/l/SHORT"));
  LowerLayer layer = layer_of(scratch.path("store/real"));
  layer.name = scratch.path("store/l/SHORT");
  CHECK(VerifyingLayerOpener("boot").open(layer, {}));
}

TEST_CASE("a directory that is not the one the kernel named is refused", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("layer"));
  std::filesystem::create_directory(scratch.path("other"));
  const LowerLayer good = layer_of(scratch.path("layer"));
  struct Row {
    const char* name;
    void (*change)(LowerLayer&);
    ErrorCode code;
  };
  const std::vector<Row> rows = {
      {"inode", [](LowerLayer& layer) { layer.inode = 1ULL << 40; }, ErrorCode::kNotFound},
      // Nothing of it is mounted, so whether the layer is there cannot be told.
      {"device", [](LowerLayer& layer) { layer.device = makedev(4000, 4000); },
       ErrorCode::kUnavailable},
      {"generation", [](LowerLayer& layer) { layer.generation ^= 0x55555555; },
       ErrorCode::kNotFound},
  };
  VerifyingLayerOpener opener("boot");
  for (const auto& [name, change, code] : rows) {
    INFO(name);
    LowerLayer wrong = good;
    change(wrong);
    if (std::string(name) == "generation" && good.generation == 0) continue;
    const auto opened = opener.open(wrong, {});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == code);
  }
  LowerLayer renamed = good;
  renamed.name = scratch.path("other");
  const auto opened = opener.open(renamed, {});
  if (opened) CHECK(inode_of((*opened)->fd()) == good.inode);  // by its handle, not by that name
}

TEST_CASE("a removed layer is gone", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("layer"));
  const LowerLayer layer = layer_of(scratch.path("layer"));
  std::filesystem::remove(scratch.path("layer"));
  const auto opened = VerifyingLayerOpener("boot").open(layer, {});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kNotFound);
}

/// Without descriptors for as long as it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    const rlimit none{0, before_.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_CASE("a layer that cannot be looked for is not gone", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("layer"));
  const LowerLayer layer = layer_of(scratch.path("layer"));
  VerifyingLayerOpener opener("boot");
  const bool knows_the_mount = GENERATE(false, true);
  INFO(knows_the_mount);
  if (knows_the_mount) REQUIRE(opener.open(layer, {}));
  std::optional<NoDescriptors> none(std::in_place);
  const auto opened = opener.open(layer, {});
  none.reset();
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kUnavailable);
  CHECK(opener.open(layer, {}));
}

TEST_CASE("a name that leads nowhere says nothing of a device without a mount", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("layer"));
  LowerLayer layer = layer_of(scratch.path("layer"));
  layer.device = makedev(4000, 4000);
  std::filesystem::remove(scratch.path("layer"));
  const auto opened = VerifyingLayerOpener("boot").open(layer, {});
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code == ErrorCode::kUnavailable);
  CHECK_THAT(opened.error().message, Catch::Contains("is visible here"));
}

TEST_CASE("a directory that was given a removed layer's inode is another layer", "[agent][unit]") {
  const Scratch scratch;
  VerifyingLayerOpener opener("boot");
  std::filesystem::create_directory(scratch.path("layer"));
  const LowerLayer removed = layer_of(scratch.path("layer"));
  if (removed.generation == 0) return;  // this file system tells none, and keeps no record
  auto before = opener.open(removed, {});
  REQUIRE(before);
  const catalog::LayerInstance known = (*before)->instance();
  const bool is_recorded = (*before)->is_cacheable();
  before->reset();  // an open directory keeps its inode
  constexpr int kTries = 2000;
  for (int i = 0; i < kTries; ++i) {
    std::filesystem::remove(scratch.path("layer"));
    std::filesystem::create_directory(scratch.path("layer"));
    const LowerLayer now = layer_of(scratch.path("layer"));
    if (now.inode != removed.inode || now.generation == removed.generation) continue;
    const auto after = opener.open(now, {});
    REQUIRE(after);
    CHECK((*after)->instance() != known);
    CHECK((*after)->is_cacheable() == is_recorded);
    CHECK_FALSE(opener.open(removed, {}));  // what is asked for by its old identity is gone
    return;
  }
  WARN("the inode was not given out again");
}

TEST_CASE("layers on FUSE and network file systems are not read, and the reason names the type",
          "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directory(scratch.path("layer"));
  const std::vector<std::pair<std::uint32_t, const char*>> rows = {
      {0x65735546, "fuse"}, {0x6969, "nfs"}, {0x01021997, "9p"}, {0x12345678, "0x12345678"}};
  for (const auto& [magic, name] : rows) {
    LowerLayer layer = layer_of(scratch.path("layer"));
    layer.magic = magic;
    const auto opened = VerifyingLayerOpener("boot").open(layer, {});
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ErrorCode::kUnsupported);
    CHECK_THAT(opened.error().message, Catch::Contains(name));
  }
}

TEST_CASE("an open directory is the kernel's by device, inode and generation", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("layer/file", "x");
  const UniqueFd fd(::open(scratch.path("layer").c_str(), O_PATH | O_CLOEXEC));
  const LowerLayer layer = layer_of(scratch.path("layer"));
  KernelDirectories directories;
  CHECK(directories.is_layer(fd.get(), layer));
  const RootIdentity upper{42, layer.inode, layer.generation, 0x794c7630};
  CHECK(directories.is_upper(fd.get(), upper));  // whatever the overlay's own device is

  LowerLayer other = layer;
  ++other.inode;
  CHECK_FALSE(directories.is_layer(fd.get(), other));
  other = layer;
  ++other.device;
  CHECK_FALSE(directories.is_layer(fd.get(), other));
  other = layer;
  ++other.generation;
  CHECK_FALSE(directories.is_layer(fd.get(), other));
  other.generation = 0;  // nothing is known of it
  CHECK(directories.is_layer(fd.get(), other));
  CHECK_FALSE(directories.is_upper(fd.get(), {42, layer.inode + 1, layer.generation, 0}));
  if (layer.generation != 0 && major(layer.device) != 0)
    CHECK_FALSE(directories.is_upper(fd.get(), {42, layer.inode, layer.generation + 1, 0}));
  const UniqueFd file(::open(scratch.path("layer/file").c_str(), O_PATH | O_CLOEXEC));
  struct stat status {};
  REQUIRE(::fstat(file.get(), &status) == 0);
  other = layer;
  other.inode = status.st_ino;
  other.generation = 0;
  CHECK_FALSE(directories.is_layer(file.get(), other));
  CHECK_FALSE(directories.is_layer(-1, layer));
}

TEST_CASE("a number that is another process's now opens no root", "[agent][unit]") {
  ProcessRoots roots;
  ContainerStart start;
  const auto refused = [&] {
    const auto opened = roots.open(start);
    return !opened && opened.error().code == ErrorCode::kNotFound;
  };
  CHECK(refused());  // no process at all
  start.process.key.tgid = static_cast<std::uint32_t>(::getpid());
  start.process.key.start = std::chrono::hours(-1);
  CHECK(refused());
}

TEST_CASE("the root of a process is opened, with the mounts below it", "[agent][unit]") {
  const auto stat = read_file("/proc/self/stat", 4096);
  REQUIRE(stat);
  const auto self = parse_process_stat(*stat);
  REQUIRE(self);
  ContainerStart start;
  start.process.key.tgid = static_cast<std::uint32_t>(::getpid());
  start.process.key.start = std::chrono::nanoseconds(1'000'000'000) / ::sysconf(_SC_CLK_TCK) *
                            static_cast<long>(self->start_ticks);
  const LowerLayer root = layer_of("/");
  start.key.root = {root.device, root.inode, root.generation, root.magic};
  ProcessRoots roots;
  auto opened = roots.open(start);
  if (root.magic == kMagicOverlay && !opened) return;  // a root that is no mount's own
  REQUIRE(opened);
  CHECK((*opened)->check());
  CHECK(inode_of((*opened)->fd()) == root.inode);
  for (const CoveringMount& mount : (*opened)->mounts())
    CHECK_FALSE(mount.path.starts_with('/'));
  start.key.root.inode += 1;
  if (root.magic != kMagicOverlay) CHECK_FALSE(roots.open(start));
}

TEST_CASE("a root that another process no longer has is not opened", "[agent][unit]") {
  ContainerStart start;
  start.process.key.tgid = static_cast<std::uint32_t>(::getpid());
  const LowerLayer root = layer_of("/");
  start.key.root = {root.device, root.inode + 1, 0, root.magic};
  CHECK_FALSE(VerifyingLayerOpener("boot").open_root(start));
}

}  // namespace
}  // namespace assay::agent
