// SPDX-License-Identifier: Apache-2.0
// Layers of roots that overlayfs does not hold. The real fuse-overlayfs is in tests/e2e.
#include <catch2/catch.hpp>

#include <filesystem>

#include "agent/rootfs/aufs_branches.h"
#include "agent/rootfs/fuse_overlay.h"
#include "agent/rootfs/mount_table.h"
#include "agent/rootfs/user_stacks.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;

std::string command_line(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words)
    text += word + '\0';
  return text;
}

TEST_CASE("fuse-overlayfs's command line names its layers and where it serves them",
          "[agent][unit]") {
  struct Row {
    const char* name;
    std::vector<std::string> words;
    std::vector<std::string> lower;
    std::string mount_point;
  };
  const Row rows[] = {
      {"podman's",
       {"/usr/bin/fuse-overlayfs", "-o", "lowerdir=/s/l/B:/s/l/A,upperdir=/s/u,workdir=/s/w,",
        "/s/merged"},
       {"/s/l/B", "/s/l/A"},
       "/s/merged"},
      {"with more options",
       {"fuse-overlayfs", "-o", "lowerdir=/a,upperdir=/u,workdir=/w,,xattr_permissions=2", "/m"},
       {"/a"},
       "/m"},
      {"one word", {"fuse-overlayfs", "-olowerdir=/a:/b", "/m"}, {"/a", "/b"}, "/m"},
      {"mount point first", {"fuse-overlayfs", "/m", "-f", "-o", "lowerdir=/a"}, {"/a"}, "/m"},
      {"an escaped comma",
       {"fuse-overlayfs", "-o", "lowerdir=/a\\,b:/c", "/m"},
       {"/a,b", "/c"},
       "/m"},
      {"empty parts", {"fuse-overlayfs", "-o", "lowerdir=:/a::/b:", "/m"}, {"/a", "/b"}, "/m"},
      {"the last of two",
       {"fuse-overlayfs", "-o", "lowerdir=/a", "-o", "lowerdir=/b", "/m"},
       {"/b"},
       "/m"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    const auto command = parse_fuse_overlay_command(command_line(row.words));
    REQUIRE(command);
    CHECK(command->lower == row.lower);
    CHECK(command->mount_point == row.mount_point);
  }
}

TEST_CASE("a command line that does not name all layers names none", "[agent][unit]") {
  const std::vector<std::vector<std::string>> rows = {
      {},
      {"fuse-overlayfs"},
      {"fuse-overlayfs", "/m"},
      {"fuse-overlayfs", "-o"},
      {"fuse-overlayfs", "-o", "lowerdir=/a"},
      {"fuse-overlayfs", "-o", "lowerdir=", "/m"},
      {"fuse-overlayfs", "-o", "lowerdir=/a://plugin//data/b", "/m"},
      {"fuse-overlayfs", "-o", "lowerdir=" + std::string(2000, ':') + "/a:/b", ""},
  };
  for (const auto& words : rows) {
    INFO(words.size());
    CHECK_FALSE(parse_fuse_overlay_command(command_line(words)));
  }
  std::string many = "lowerdir=/a";
  for (int i = 0; i < 500; ++i)
    many += ":/a";
  CHECK_FALSE(parse_fuse_overlay_command(command_line({"fuse-overlayfs", "-o", many, "/m"})));
}

TEST_CASE("aufs's number in sysfs is its option si", "[agent][unit]") {
  CHECK(aufs_id_of("rw,si=7a1b,dio,dirperm1") == "7a1b");
  CHECK(aufs_id_of("si=0") == "0");
  CHECK(aufs_id_of("rw,xsi=7a").empty());
  CHECK(aufs_id_of("rw,si=../../etc").empty());
  CHECK(aufs_id_of("rw,si=12345678901234567").empty());
  CHECK(aufs_id_of("").empty());
}

TEST_CASE("a superblock's options are the last field of mountinfo", "[agent][unit]") {
  const auto entries =
      parse_mountinfo("36 35 0:40 / /mnt rw,relatime shared:1 - aufs none rw,si=abc,dio\n");
  REQUIRE(entries.size() == 1);
  CHECK(aufs_id_of(entries[0].options) == "abc");
}

TEST_CASE("aufs's branches but the first are the layers, bottom first", "[agent][unit]") {
  const Scratch scratch;
  for (const char* name : {"upper", "top layer", "bottom"})
    std::filesystem::create_directories(scratch.path(name));
  scratch.write("si_1/br0", scratch.path("upper") + "=rw\n");
  scratch.write("si_1/br1", scratch.path("top\\040layer") + "=ro+wh\n");
  scratch.write("si_1/br2", scratch.path("bottom") + "=ro+wh\n");
  scratch.write("si_1/xi_path", "/dev/shm/aufs.xino\n");
  const auto layers = read_aufs_branches(scratch.path("si_1"));
  REQUIRE(layers);
  REQUIRE(layers->size() == 2);
  CHECK(layers->at(0).name == scratch.path("bottom"));
  CHECK(layers->at(1).name == scratch.path("top layer"));
  CHECK(layers->at(0).inode != layers->at(1).inode);
  CHECK(layers->at(0).device != 0);
}

TEST_CASE("a stack of branches with a hole in it is none", "[agent][unit]") {
  const Scratch scratch;
  std::filesystem::create_directories(scratch.path("bottom"));
  scratch.write("si_1/br0", "/upper=rw\n");
  CHECK_FALSE(read_aufs_branches(scratch.path("si_1")));
  scratch.write("si_1/br1", scratch.path("gone") + "=ro+wh\n");
  scratch.write("si_1/br2", scratch.path("bottom") + "=ro+wh\n");
  CHECK_FALSE(read_aufs_branches(scratch.path("si_1")));
  scratch.write("si_1/br1", "no branch");
  CHECK(read_aufs_branches(scratch.path("si_1")).error().code == ErrorCode::kCorrupt);
}

TEST_CASE("a root that no other stack serves is left as it is", "[agent][unit]") {
  UserStacks stacks;
  for (const std::uint32_t magic : {std::uint32_t{0xEF53}, kMagicFuse, kMagicAufs}) {
    ContainerStart start;
    start.key.root.magic = magic;
    start.key.root.device = 0xFFFF;
    start.process.key.tgid = 1;
    stacks.complete(start);
    CHECK(start.other_stack == OtherStack::kNone);
    CHECK(start.layers.empty());
  }
}

}  // namespace
}  // namespace assay::agent
