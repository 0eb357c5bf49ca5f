// SPDX-License-Identifier: Apache-2.0
#include "common/image/directory.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/base/unique_fd.h"
#include "common/image/safe_open.h"
#include "common/image/tar_layer.h"
#include "tests/support/command.h"
#include "tests/support/page_cache.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::cached_pages;
using assay::tests::drop_pages;
using assay::tests::TempFolder;
using assay::tests::write_bytes;

namespace {

Result<LayerFingerprint> walk(const std::string& path, WalkOptions options,
                              std::stop_token stop = {}) {
  const UniqueFd root(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(root);
  return fingerprint_directory(root.get(), options, stop);
}

WalkOptions with(Dialect dialect, Scope scope = Scope::kContent) {
  WalkOptions options;
  options.dialect = dialect;
  options.scope = scope;
  return options;
}

LayerFingerprint must(const std::string& path, const WalkOptions& options) {
  auto result = walk(path, options);
  if (!result) FAIL(result.error().text());
  return *result;
}

bool is_root() {
  return ::geteuid() == 0;
}

}  // namespace

TEST_CASE("a tree and the tar that GNU tar makes of it are the same layer", "[image][unit]") {
  const TempFolder folder("dir");
  const std::string tree = folder / "tree";
  std::filesystem::create_directories(tree + "/usr/bin");
  write_bytes(tree + "/usr/bin/tool", std::string(10'000, 'x'));
  write_bytes(tree + "/empty", "");
  ::chmod((tree + "/usr/bin/tool").c_str(), 04711);
  std::filesystem::create_symlink("usr/bin", tree + "/bin");
  std::filesystem::create_hard_link(tree + "/empty", tree + "/usr/linked");
  write_bytes(tree + "/\xff\xfe", "not UTF-8");
  REQUIRE(::mkfifo((tree + "/pipe").c_str(), 0600) == 0);
  const std::string tar_path = folder / "tree.tar";
  assay::tests::must_run({"tar", "-C", tree, "--numeric-owner", "-cf", tar_path, "."});
  std::ifstream file(tar_path, std::ios::binary);
  const std::string tar{std::istreambuf_iterator<char>(file), {}};
  MemorySource source(tar);
  const auto from_tar = fingerprint_tar(source, Scope::kContent, {});
  REQUIRE(from_tar);
  const LayerFingerprint from_tree = must(tree, with(Dialect::kPlain));
  CHECK(from_tree.shape == from_tar->shape);
  CHECK(from_tree.content == from_tar->content);
  CHECK(from_tree.deletions == from_tar->deletions);
  CHECK(from_tree.entries == from_tar->entries);
  CHECK(must(tree, with(Dialect::kPlain, Scope::kShape)).shape == from_tar->shape);
}

TEST_CASE("the shape scope reads no file", "[image][unit]") {
  const TempFolder folder("dir");
  write_bytes(folder / "a", "x");
  const LayerFingerprint shape = must(folder.path(), with(Dialect::kPlain, Scope::kShape));
  CHECK_FALSE(shape.content.has_value());
  CHECK(shape.content_bytes == 1);
}

TEST_CASE("a file's extended attributes count", "[image][unit]") {
  const TempFolder folder("dir");
  write_bytes(folder / "a", "x");
  const LayerFingerprint without = must(folder.path(), with(Dialect::kPlain));
  if (::setxattr((folder / "a").c_str(), "user.note", "v", 1, 0) != 0) {
    WARN("no user attributes on this file system");
    return;
  }
  const LayerFingerprint with_attribute = must(folder.path(), with(Dialect::kPlain));
  CHECK(without.shape == with_attribute.shape);
  CHECK(without.content != with_attribute.content);
}

TEST_CASE("aufs marks are deletions in the aufs dialect and files in any other", "[image][unit]") {
  const TempFolder folder("dir");
  std::filesystem::create_directories(folder / "d");
  std::filesystem::create_directories(folder / ".wh..wh.plnk/sub");
  write_bytes(folder / "d/.wh.gone", "");
  write_bytes(folder / "d/.wh..wh..opq", "");
  write_bytes(folder / ".wh..wh.aufs", "");
  FingerprintBuilder builder;
  REQUIRE(builder.add_whiteout("d/gone"));
  REQUIRE(builder.add_opaque("d"));
  const auto wanted = std::move(builder).finish(Scope::kContent);
  const LayerFingerprint as_aufs = must(folder.path(), with(Dialect::kAufs));
  CHECK(as_aufs.content == wanted->content);
  CHECK(as_aufs.deletions == wanted->deletions);
  CHECK(must(folder.path(), with(Dialect::kPlain)).entries == 6);
}

TEST_CASE("overlay's user dialect sees opaque, redirect, metacopy and attribute whiteouts",
          "[image][unit]") {
  const TempFolder folder("dir");
  std::filesystem::create_directories(folder / "opaque");
  std::filesystem::create_directories(folder / "holder");
  write_bytes(folder / "holder/gone", "");
  write_bytes(folder / "holder/kept", "x");
  const auto set = [&](const std::string& path, const char* name, const char* value) {
    return ::setxattr((folder / path).c_str(), name, value, std::strlen(value), 0) == 0;
  };
  if (!set("opaque", "user.overlay.opaque", "y")) {
    WARN("no user attributes on this file system");
    return;
  }
  REQUIRE(set("holder", "user.overlay.opaque", "x"));
  REQUIRE(set("holder/gone", "user.overlay.whiteout", ""));
  FingerprintBuilder builder;
  REQUIRE(builder.add_opaque("opaque"));
  REQUIRE(builder.add_whiteout("holder/gone"));
  LayerFingerprint layer = must(folder.path(), with(Dialect::kOverlayUser));
  CHECK(layer.deletions == std::move(builder).finish(Scope::kShape)->deletions);
  CHECK(layer.entries == 3);
  CHECK_FALSE(layer.has_redirects);
  REQUIRE(set("holder/kept", "user.overlay.metacopy", ""));
  CHECK(must(folder.path(), with(Dialect::kOverlayUser)).has_redirects);
  CHECK_FALSE(must(folder.path(), with(Dialect::kPlain)).has_redirects);
}

TEST_CASE("ids are mapped back, and an id outside the map is an error", "[image][unit]") {
  const TempFolder folder("dir");
  write_bytes(folder / "a", "x");
  const LayerFingerprint plain = must(folder.path(), with(Dialect::kPlain));
  WalkOptions mapped = with(Dialect::kPlain);
  mapped.uid_map = {{::getuid(), ::getuid(), 1}};
  mapped.gid_map = {{0, 0, UINT32_MAX}};
  CHECK(must(folder.path(), mapped).content == plain.content);
  mapped.uid_map = {{::getuid(), 4711, 1}};
  CHECK(must(folder.path(), mapped).shape != plain.shape);
  mapped.uid_map = {{::getuid() + 1ULL, 0, 10}};
  CHECK(walk(folder.path(), mapped).error().code == ErrorCode::kUnsupported);
}

TEST_CASE("limits and a stop end a walk with their own errors", "[image][unit]") {
  const TempFolder folder("dir");
  std::filesystem::create_directories(folder / "a/b/c");
  write_bytes(folder / "f", "12345");
  WalkOptions few = with(Dialect::kPlain);
  few.limits.max_entries = 3;
  CHECK(walk(folder.path(), few).error().code == ErrorCode::kLimitExceeded);
  WalkOptions shallow = with(Dialect::kPlain);
  shallow.limits.max_depth = 2;
  CHECK(walk(folder.path(), shallow).error().code == ErrorCode::kLimitExceeded);
  WalkOptions small = with(Dialect::kPlain);
  small.limits.max_content_bytes = 4;
  CHECK(walk(folder.path(), small).error().code == ErrorCode::kLimitExceeded);
  std::stop_source stop;
  stop.request_stop();
  CHECK(walk(folder.path(), with(Dialect::kPlain), stop.get_token()).error().code ==
        ErrorCode::kCancelled);
}

TEST_CASE("a file that grows without end is not read without end", "[image][unit]") {
  const TempFolder folder("dir");
  const std::string path = folder / "log";
  write_bytes(path, std::string(100'000, 'x'));
  std::jthread writer([&](std::stop_token stop) {
    while (!stop.stop_requested())
      std::ofstream(path, std::ios::app) << "more";
  });
  for (int i = 0; i < 20; ++i) {
    const auto result = walk(folder.path(), with(Dialect::kPlain));
    if (!result) CHECK(result.error().code == ErrorCode::kCorrupt);
  }
}

TEST_CASE("overlay's own dialect says when it cannot see opaque marks", "[image][unit]") {
  const TempFolder folder("dir");
  write_bytes(folder / "a", "x");
  CHECK(must(folder.path(), with(Dialect::kOverlay)).deletions.has_value() ==
        can_see_trusted_xattrs());
}

TEST_CASE("overlay whiteouts and opaque directories on disk are deletions", "[image][unit]") {
  if (!is_root() || !can_see_trusted_xattrs()) {
    WARN("needs root");
    return;
  }
  const TempFolder folder("dir");
  std::filesystem::create_directories(folder / "d");
  REQUIRE(::mknod((folder / "d/gone").c_str(), S_IFCHR, 0) == 0);
  if (::setxattr((folder / "d").c_str(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
    WARN("no trusted attributes on this file system");
    return;
  }
  FingerprintBuilder builder;
  REQUIRE(builder.add_whiteout("d/gone"));
  REQUIRE(builder.add_opaque("d"));
  const LayerFingerprint layer = must(folder.path(), with(Dialect::kOverlay));
  CHECK(layer.deletions == std::move(builder).finish(Scope::kShape)->deletions);
  CHECK(layer.entries == 1);
  CHECK(must(folder.path(), with(Dialect::kPlain)).entries == 2);
  REQUIRE(::setxattr((folder / "d").c_str(), "trusted.overlay.redirect", "/x", 2, 0) == 0);
  CHECK(must(folder.path(), with(Dialect::kOverlay)).has_redirects);
}

TEST_CASE("a walk that spares the page cache leaves it as it was", "[image][unit]") {
  constexpr std::size_t kBytes = 4U << 20;
  const TempFolder folder("spare");
  const std::string tree = folder / "tree";
  std::filesystem::create_directory(tree);
  for (const char* name : {"/warm", "/cold", "/half"})
    write_bytes(tree + name, std::string(kBytes, name[1]));
  drop_pages(tree + "/warm");  // to the disk
  (void)must(tree, with(Dialect::kPlain));
  drop_pages(tree + "/cold");
  drop_pages(tree + "/half", kBytes / 2);
  if (cached_pages(tree + "/cold") > 0) {
    WARN("SKIPPED: this file system keeps its pages: " + tree);
    return;
  }
  WalkOptions options = with(Dialect::kPlain);
  options.page_cache = PageCache::kSpare;
  const auto spared = must(tree, options);
  CHECK(cached_pages(tree + "/warm") == kBytes / 4096);
  CHECK(cached_pages(tree + "/cold") == 0);
  CHECK(cached_pages(tree + "/half") == kBytes / 2 / 4096);
  const auto kept = must(tree, with(Dialect::kPlain));
  CHECK(spared.content == kept.content);
  CHECK(cached_pages(tree + "/cold") == kBytes / 4096);
}

TEST_CASE("a walk stops soon after it was asked to", "[image][unit]") {
  const TempFolder folder("stop");
  const std::string tree = folder / "tree";
  std::filesystem::create_directory(tree);
  for (int i = 0; i < 64; ++i) {  // 64 GiB to hash, no bytes on disk
    write_bytes(tree + "/" + std::to_string(i), "");
    REQUIRE(::truncate((tree + "/" + std::to_string(i)).c_str(), 1LL << 30) == 0);
  }
  std::stop_source source;
  WalkOptions options = with(Dialect::kPlain);
  options.hash_thread = GENERATE(HashThread::kCaller, HashThread::kOwn);
  bool is_reading = false;
  options.progress = [&](const WalkProgress&) {
    is_reading = true;
    source.request_stop();
  };
  const auto began = std::chrono::steady_clock::now();
  const auto result = walk(tree, options, source.get_token());
  CHECK(is_reading);
  REQUIRE_FALSE(result);
  CHECK(result.error().code == ErrorCode::kCancelled);
  // All of it would take a minute; a stop is to take 100 ms at most.
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(5));
}
