// SPDX-License-Identifier: Apache-2.0
#include "common/image/root_form.h"

#include <fcntl.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/tar_layer.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::tests::TarBuilder;
using assay::tests::TarItem;

namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

// A layer as a tar of files with these names and contents; a name that ends in "/" is a folder.
LayerTree layer_of(const Files& files) {
  TarBuilder builder;
  for (const auto& [name, data] : files) {
    TarItem item;
    item.name = name;
    item.data = data;
    if (name.ends_with('/')) item.type = '5';
    builder.add(item);
  }
  const std::string tar = builder.finish();
  MemorySource source(tar);
  LayerTreeKeeper keeper(nullptr);
  REQUIRE(fingerprint_tar(source, Scope::kContent, {}, &keeper));
  return keeper.tree();
}

RootFingerprint root_of(const std::vector<Files>& layers) {
  MergedTree merged;
  for (const Files& files : layers)
    merged.add(layer_of(files));
  return merged.fingerprint(Scope::kContent);
}

bool is_same(const RootFingerprint& a, const RootFingerprint& b) {
  return a.shape == b.shape && a.content == b.content && a.entries == b.entries &&
         a.content_bytes == b.content_bytes;
}

}  // namespace

TEST_CASE("layers on top of one another are the tree that they make", "[image][unit]") {
  struct Row {
    const char* name;
    std::vector<Files> layers;
    Files together;
  };
  const Row rows[] = {
      {"one layer", {{{"a", "1"}}}, {{"a", "1"}}},
      {"a later file replaces an earlier one", {{{"a", "1"}}, {{"a", "2"}}}, {{"a", "2"}}},
      {"folders are shared", {{{"d/a", "1"}}, {{"d/b", "2"}}}, {{"d/a", "1"}, {"d/b", "2"}}},
      {"a whiteout deletes a file", {{{"a", "1"}, {"b", "2"}}, {{".wh.a", ""}}}, {{"b", "2"}}},
      {"and a folder with all in it",
       {{{"d/e/a", "1"}, {"d0", "2"}}, {{".wh.d", ""}}},
       {{"d0", "2"}}},
      {"an opaque folder hides what was in it and stays",
       {{{"d/a", "1"}, {"d/e/b", "1"}}, {{"d/.wh..wh..opq", ""}, {"d/c", "2"}}},
       {{"d/c", "2"}}},
      {"an opaque root hides everything",
       {{{"a", "1"}}, {{".wh..wh..opq", ""}, {"b", "2"}}},
       {{"b", "2"}}},
      {"a file replaces a folder", {{{"d/a", "1"}}, {{"d", "2"}}}, {{"d", "2"}}},
      {"a folder replaces a file", {{{"d", "1"}}, {{"d/a", "2"}}}, {{"d/a", "2"}}},
      {"what was deleted may come back",
       {{{"a", "1"}}, {{".wh.a", ""}}, {{"a", "3"}}},
       {{"a", "3"}}},
      {"a whiteout of nothing does nothing", {{{"a", "1"}}, {{".wh.b", ""}}}, {{"a", "1"}}},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK(is_same(root_of(row.layers), root_of({row.together})));
  }
  CHECK_FALSE(is_same(root_of({{{"a", "1"}}}), root_of({{{"a", "2"}}})));
}

TEST_CASE("what runtimes make or replace in a root does not count", "[image][unit]") {
  const RootFingerprint bare = root_of({{{"bin/tool", "x"}}});
  for (const char* name :
       {".dockerenv", "dev/", "dev/console", "dev/pts/", "proc/", "proc/x", "sys/", "etc/",
        "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "run/", "run/.containerenv",
        "run/secrets/", "run/secrets/kubernetes.io/serviceaccount/"}) {
    INFO(name);
    CHECK(is_same(bare, root_of({{{"bin/tool", "x"}, {name, ""}}})));
  }
  for (const char* name : {"dev", "proc", "etc", "run", "etc/passwd", "etc/hosts.allow", "device/",
                           "run/x", "tmp/", "var/run/"}) {
    INFO(name);
    CHECK_FALSE(is_same(bare, root_of({{{"bin/tool", "x"}, {name, ""}}})));
  }
}

TEST_CASE("a root counts file capabilities and no other attribute", "[image][unit]") {
  const auto with = [](const std::string& name) {
    Entry entry;
    entry.path = "ping";
    entry.file_digest = FileDigest{};
    if (!name.empty()) entry.xattrs = {{name, "value"}};
    MergedTree merged;
    merged.add({{entry}, {}});
    return merged.fingerprint(Scope::kContent);
  };
  CHECK(is_same(with(""), with("user.note")));
  CHECK(is_same(with(""), with("system.posix_acl_access")));
  CHECK_FALSE(is_same(with(""), with("security.capability")));
}

TEST_CASE("a directory in root form is the image that was copied into it", "[image][unit]") {
  const tests::TempFolder folder("root");
  const std::string tree = folder / "tree";
  std::filesystem::create_directories(tree + "/dev/shm");
  std::filesystem::create_directories(tree + "/usr");
  tests::write_bytes(tree + "/usr/tool", "tool");
  tests::write_bytes(tree + "/.dockerenv", "");
  const UniqueFd fd(::open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  WalkOptions options;
  options.dialect = Dialect::kPlain;
  options.wants_root_form = true;
  const auto walked = fingerprint_directory(fd.get(), options, {});
  REQUIRE(walked);
  REQUIRE(walked->root);
  std::filesystem::remove_all(tree + "/dev");
  std::filesystem::remove(tree + "/.dockerenv");
  const std::string tar_path = folder / "tree.tar";
  tests::must_run({"tar", "-C", tree, "--numeric-owner", "-cf", tar_path, "."});
  const std::string tar = tests::must_run({"cat", tar_path});
  MemorySource source(tar);
  LayerTreeKeeper keeper(nullptr);
  REQUIRE(fingerprint_tar(source, Scope::kContent, {}, &keeper));
  MergedTree merged;
  merged.add(keeper.tree());
  CHECK(is_same(*walked->root, merged.fingerprint(Scope::kContent)));
  CHECK(walked->root->entries == 2);
  CHECK(walked->root->shape != walked->shape);
}

TEST_CASE("a layer without its devices is the layer that never had any", "[image][unit]") {
  const auto fingerprint_of = [](bool has_device, LayerTree& tree) {
    FingerprintBuilder builder;
    Entry entry;
    entry.path = "dev/file";
    entry.file_digest = FileDigest{};
    REQUIRE(builder.add(entry));
    entry.path = "dev/null";
    entry.type = EntryType::kCharDevice;
    entry.device_major = 1;
    entry.device_minor = 3;
    if (has_device) REQUIRE(builder.add(entry));
    LayerTreeKeeper keeper(nullptr);
    const auto fingerprint = std::move(builder).finish(Scope::kContent, {}, &keeper);
    tree = keeper.tree();
    return *fingerprint;
  };
  LayerTree with;
  LayerTree without;
  const LayerFingerprint whole = fingerprint_of(true, with);
  const LayerFingerprint bare = fingerprint_of(false, without);
  const auto deviceless = fingerprint_without_devices(with, Scope::kContent);
  REQUIRE(deviceless);
  CHECK(deviceless->shape == bare.shape);
  CHECK(deviceless->content == bare.content);
  CHECK(deviceless->shape != whole.shape);
  CHECK_FALSE(fingerprint_without_devices(without, Scope::kContent));
}
