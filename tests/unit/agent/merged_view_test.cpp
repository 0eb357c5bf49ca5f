// SPDX-License-Identifier: Apache-2.0
// Comparing a root with the layers below it; the root is made of hard links, which share inodes.
#include "agent/identify/merged_view.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>
#include <map>

#include "common/base/unique_fd.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;
namespace fs = std::filesystem;

/// Layers "1" (bottom), "2", … and what the container sees of them.
struct Tree {
  Scratch scratch;
  std::vector<SeenLayer> layers;
  std::vector<CoveringMount> mounts;
  std::vector<UniqueFd> held;
  bool has_upper = false;

  void file(const std::string& layer, const std::string& path, const std::string& text = "text") {
    scratch.write(layer + "/" + path, text);
  }
  std::string path(const std::string& below) const { return scratch.path(below); }
  /// Shows everything that the layer has, over what was shown before.
  void show(const std::string& layer) {
    for (const auto& entry : fs::recursive_directory_iterator(path(layer))) {
      const fs::path to = path("seen") / entry.path().lexically_relative(path(layer));
      if (entry.is_directory() && !entry.is_symlink()) {
        fs::create_directories(to);
        continue;
      }
      fs::create_directories(to.parent_path());
      fs::remove(to);
      fs::create_hard_link(entry.path(), to);
    }
  }
  void add(bool is_base, bool applies_marks = true) {
    const std::string folder = path(std::to_string(layers.size() + 1));
    fs::create_directories(folder);
    held.emplace_back(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    SeenLayer layer;
    layer.fd = held.back().get();
    layer.is_base = is_base;
    layer.applies_marks = applies_marks;
    layers.push_back(layer);
  }
  catalog::View look(const ViewLimits& limits = {}) {
    auto view = try_look(limits);
    REQUIRE(view);
    return *view;
  }
  Result<catalog::View> try_look(const ViewLimits& limits = {}) {
    fs::create_directories(path("seen"));
    const UniqueFd root(::open(path("seen").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    UniqueFd upper;
    if (has_upper)
      upper = UniqueFd(::open(path("upper").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    const SeenRoot seen{
        layers, root.get(), has_upper ? upper.get() : -1, mounts, image::Dialect::kOverlayUser,
        true};
    return look_at_view(seen, limits, {});
  }
};

using Texts = std::vector<std::string>;

/// A base of two layers, seen as it is.
struct Plain : Tree {
  Plain() {
    file("1", "usr/lib/libc.so");
    file("1", "usr/bin/tool");
    file("1", "etc/passwd");
    file("1", "etc/hosts");
    file("2", "usr/lib/libm.so");
    file("2", "usr/bin/tool", "a newer tool");
    fs::create_symlink("usr/bin", path("1/bin"));
    show("1");
    show("2");
    add(true);
    add(true);
  }
};

TEST_CASE("layers that are seen as they are agree", "[agent][unit]") {
  Plain tree;
  const catalog::View view = tree.look();
  CHECK(view.state == catalog::ViewState::kAgrees);
  CHECK(view.layers == 2);
  CHECK(view.paths == 9);  // without /etc/hosts, which runtimes replace
  CHECK(view.is_whole());
}

TEST_CASE("whatever is not the layer's inode is masked or covered", "[agent][unit]") {
  Plain tree;
  const fs::path seen = tree.path("seen");
  const auto replace = [&](const char* path) {
    fs::remove(seen / path);
    tree.file("seen", path);
  };
  SECTION("another file") {
    replace("usr/lib/libc.so");
    const catalog::View view = tree.look();
    CHECK(view.state == catalog::ViewState::kDiffers);
    CHECK(view.masked_paths == Texts{"/usr/lib/libc.so (not the layer's file)"});
    CHECK(view.is_masked_by_run());
  }
  SECTION("elsewhere") {
    replace("etc/passwd");
    const catalog::View view = tree.look();
    CHECK(view.state == catalog::ViewState::kAgrees);
    CHECK_FALSE(view.is_whole());
    CHECK(view.covered_paths == Texts{"/etc/passwd (not the layer's file)"});
  }
  SECTION("a missing folder is named once") {
    fs::remove_all(seen / "usr/lib");
    const catalog::View view = tree.look();
    CHECK(view.masked == 1);
    CHECK(view.masked_paths ==
          Texts{"/usr/lib (missing: hidden by an opaque or redirected folder)"});
  }
  SECTION("a link in place of a folder") {
    fs::remove_all(seen / "usr/lib");
    fs::create_symlink("/tmp", seen / "usr/lib");
    CHECK(tree.look().masked == 1);
  }
  SECTION("the file of a lower layer of the base") {
    fs::remove(seen / "usr/bin/tool");
    fs::create_hard_link(tree.path("1/usr/bin/tool"), seen / "usr/bin/tool");
    CHECK(tree.look().masked == 1);
  }
  SECTION("what runtimes put there") {
    replace("etc/hosts");
    CHECK(tree.look().is_whole());
  }
}

TEST_CASE("the upper says what the container did", "[agent][unit]") {
  Plain tree;
  tree.has_upper = true;
  tree.file("upper", "usr/lib/libc.so", "edited");
  tree.show("upper");
  if (::mknod(tree.path("upper/usr/lib/libm.so").c_str(), S_IFCHR, makedev(0, 0)) == 0)
    fs::remove(tree.path("seen/usr/lib/libm.so"));
  const catalog::View view = tree.look();
  REQUIRE(!view.masked_paths.empty());
  CHECK(view.masked_paths[0] == "/usr/lib/libc.so (edited in the container)");
  if (view.masked_paths.size() > 1)
    CHECK(view.masked_paths[1] == "/usr/lib/libm.so (deleted in the container)");
}

TEST_CASE("mounts are named, and nothing below them is looked at", "[agent][unit]") {
  Plain tree;
  tree.mounts = {
      {"usr/lib", "ext4 /srv/x"}, {"etc", "tmpfs /"}, {"proc", "proc /"}, {"data", "ext4 /"}};
  fs::remove_all(tree.path("seen/usr/lib"));
  const catalog::View view = tree.look();
  CHECK(view.masked_paths == Texts{"/usr/lib (mount: ext4 /srv/x)"});
  CHECK(view.covered_paths == Texts{"/etc (mount: tmpfs /)"});
}

TEST_CASE("a mount over /etc masks the loader's files in it", "[agent][unit]") {
  Plain tree;
  tree.file("1", "etc/ld.so.cache");
  tree.mounts = {{"etc", "tmpfs /"}};
  CHECK(tree.look().masked_paths == Texts{"/etc (mount: tmpfs /)"});
}

TEST_CASE("a layer of the image may replace files, and says so when it hides folders",
          "[agent][unit]") {
  Plain tree;
  tree.file("3", "usr/lib/libc.so", "an update");
  tree.show("3");
  tree.add(false);
  SECTION("a file") {
    const catalog::View view = tree.look();
    CHECK(view.state == catalog::ViewState::kAgrees);
    CHECK(view.is_whole());
    CHECK(view.replaced == 1);
    CHECK(view.covered_paths == Texts{"/usr/lib/libc.so (replaced by layer 3)"});
  }
  SECTION("an opaque folder") {
    REQUIRE(::setxattr(tree.path("3/usr/lib").c_str(), "user.overlay.opaque", "y", 1, 0) == 0);
    fs::remove(tree.path("seen/usr/lib/libm.so"));
    const catalog::View view = tree.look();
    CHECK(view.state == catalog::ViewState::kDiffers);
    CHECK(view.masked == 2);
    CHECK_FALSE(view.is_masked_by_run());
    CHECK(view.masked_paths[1] == "/usr/lib/libm.so (hidden by an opaque folder of layer 3)");
  }
}

TEST_CASE("marks in layers of the base count only when they are the base's", "[agent][unit]") {
  Plain tree;
  REQUIRE(::setxattr(tree.path("2/usr/lib").c_str(), "user.overlay.opaque", "y", 1, 0) == 0);
  fs::remove(tree.path("seen/usr/lib/libc.so"));
  SECTION("they are") {
    CHECK(tree.look().is_whole());
  }
  SECTION("nobody knows") {
    tree.layers[1].applies_marks = false;
    const catalog::View view = tree.look();
    CHECK(view.masked_paths ==
          Texts{"/usr/lib/libc.so (hidden by layer 2, and the base may not say so)"});
    CHECK(view.is_masked_by_run());
  }
}

TEST_CASE("a file that was copied up in place has another change time", "[agent][unit]") {
  Plain tree;
  const fs::path file = tree.path("seen/usr/lib/libc.so");
  struct stat before {};
  REQUIRE(::stat(file.c_str(), &before) == 0);
  // The same size, mode, owner and times.
  fs::copy_file(file, tree.path("copy"));
  fs::remove(file);
  fs::rename(tree.path("copy"), file);
  const timespec times[2] = {before.st_atim, before.st_mtim};
  REQUIRE(::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0);
  CHECK(tree.look().masked == 1);
}

TEST_CASE("folders of the system that anyone may write to are masked", "[agent][unit]") {
  Plain tree;
  fs::permissions(tree.path("seen/etc"), fs::perms::all);
  CHECK(tree.look().masked_paths == Texts{"/etc (anyone may write to it)"});
  fs::permissions(tree.path("seen/etc"), fs::perms::all | fs::perms::sticky_bit);
  CHECK(tree.look().masked == 0);
}

TEST_CASE("a preloaded library needs no file of the base to be masked", "[agent][unit]") {
  Plain tree;
  tree.file("seen", "etc/ld.so.preload");
  CHECK(tree.look().masked_paths == Texts{"/etc/ld.so.preload (added in the container)"});
}

TEST_CASE("beyond a limit nothing is said to agree", "[agent][unit]") {
  Plain tree;
  ViewLimits limits;
  SECTION("paths") {
    limits.max_paths = 3;
  }
  SECTION("time") {
    limits.max_time = std::chrono::milliseconds(-1);
  }
  SECTION("depth") {
    limits.max_depth = 0;
  }
  const auto view = tree.try_look(limits);
  REQUIRE_FALSE(view);
  CHECK(view.error().code == ErrorCode::kLimitExceeded);
}

TEST_CASE("names are escaped and bounded, all are counted", "[agent][unit]") {
  Tree tree;
  for (int i = 0; i < 50; ++i)
    tree.file("1", "usr/bin/\x1b[31m" + std::to_string(i) + std::string(200, 'x'));
  tree.add(true);
  fs::create_directories(tree.path("seen/usr/bin"));
  const catalog::View view = tree.look();
  CHECK(view.masked == 50);
  REQUIRE(view.masked_paths.size() == catalog::kMaxViewPaths);
  CHECK(view.masked_paths[0].starts_with("/usr/bin/\\x1b[31m"));
  CHECK(view.masked_paths[0].size() <= catalog::kMaxViewPathBytes);
}

}  // namespace
}  // namespace assay::agent
