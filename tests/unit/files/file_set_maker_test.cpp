// SPDX-License-Identifier: Apache-2.0
// One image gives one file set, from an archive's merged tree and from its layers top down.
#include "common/files/file_set_maker.h"

#include <fcntl.h>
#include <unistd.h>
#include <catch2/catch.hpp>

#include <filesystem>

#include "common/base/unique_fd.h"
#include "common/image/directory.h"
#include "common/image/root_form.h"
#include "common/image/tar_layer.h"
#include "tests/support/command.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::image;
using assay::catalog::FileSet;
using assay::tests::TarBuilder;
using assay::tests::TarItem;

namespace {

using Names = std::vector<std::pair<std::string, std::string>>;

// A name that ends in "/" is a folder.
std::string tar_of(const Names& files) {
  TarBuilder builder;
  for (const auto& [name, data] : files) {
    TarItem item;
    item.name = name;
    item.data = data;
    if (name.ends_with('/')) item.type = '5';
    builder.add(item);
  }
  return builder.finish();
}

FileSet merged_set(const std::vector<std::string>& tars) {
  MergedTree merged;
  for (const std::string& tar : tars) {
    MemorySource source(tar);
    LayerTreeKeeper keeper(nullptr);
    REQUIRE(fingerprint_tar(source, Scope::kContent, {}, &keeper));
    merged.add(keeper.tree());
  }
  files::FileSetMaker maker;
  merged.show([&](const Entry& entry) { maker.add(entry); });
  return std::move(maker).finish().value();
}

FileSet layered_set(const std::vector<std::string>& tars) {
  files::LayeredFileSetMaker maker;
  for (auto tar = tars.rbegin(); tar != tars.rend(); ++tar) {
    MemorySource source(*tar);
    REQUIRE(fingerprint_tar(source, Scope::kContent, {}, &maker.observer()));
    maker.next_layer();
  }
  CHECK(maker.saw_all_deletions());
  return std::move(maker).finish().value();
}

FileSet directory_set(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  files::LayeredFileSetMaker maker;
  WalkOptions options;
  options.dialect = Dialect::kPlain;
  options.observer = &maker.observer();
  REQUIRE(fingerprint_directory(fd.get(), options, {}));
  return std::move(maker).finish().value();
}

}  // namespace

TEST_CASE("layers from the top down give what they give put together", "[files][unit]") {
  struct Row {
    const char* name;
    std::vector<Names> layers;
    std::size_t files;
  };
  const Row rows[] = {
      {"one layer", {{{"a", "1"}, {"d/b", "2"}}}, 2},
      {"a later file replaces an earlier one", {{{"a", "1"}}, {{"a", "2"}}}, 1},
      {"folders are shared", {{{"d/a", "1"}}, {{"d/b", "2"}}}, 2},
      {"a whiteout deletes a file", {{{"a", "1"}, {"b", "2"}}, {{".wh.a", ""}}}, 1},
      {"and a folder with all in it", {{{"d/e/a", "1"}, {"d0", "2"}}, {{".wh.d", ""}}}, 1},
      {"an opaque folder hides what was in it",
       {{{"d/a", "1"}, {"d/e/b", "1"}}, {{"d/.wh..wh..opq", ""}, {"d/c", "2"}}},
       1},
      {"an opaque root hides everything", {{{"a", "1"}}, {{".wh..wh..opq", ""}, {"b", "2"}}}, 1},
      {"a file replaces a folder", {{{"d/a", "1"}}, {{"d", "2"}}}, 1},
      {"a folder replaces a file", {{{"d", "1"}}, {{"d/a", "2"}}}, 1},
      {"a file between two folders hides the lower one",
       {{{"d/a", "1"}}, {{"d", "x"}}, {{"d/b", "2"}}},
       1},
      {"what was deleted may come back", {{{"a", "1"}}, {{".wh.a", ""}}, {{"a", "3"}}}, 1},
      {"and what was below it does not", {{{"d/a", "1"}}, {{".wh.d", ""}}, {{"d/b", "3"}}}, 1},
      {"an empty file hides a full one", {{{"a", "1"}}, {{"a", ""}}}, 0},
      {"what runtimes make does not count",
       {{{"etc/hosts", "x"}, {".dockerenv", "x"}, {"dev/x", "y"}, {"etc/passwd", "z"}}},
       1},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    std::vector<std::string> tars;
    for (const Names& layer : row.layers)
      tars.push_back(tar_of(layer));
    CHECK(layered_set(tars) == merged_set(tars));
    CHECK(layered_set(tars).size() == row.files);
  }
}

TEST_CASE("times do not count, owners, modes and targets do", "[files][unit]") {
  const auto with = [](TarItem item) { return merged_set({TarBuilder().add(item).finish()}); };
  TarItem item = tests::tar_item("a", '0', "x");
  const FileSet before = with(item);
  item.mtime_s += 5;
  CHECK(with(item) == before);
  item.mode = 04755;
  CHECK(with(item) != before);
  item = tests::tar_item("a", '0', "x");
  item.gid = 5;
  CHECK(with(item) != before);
  CHECK(with(tests::tar_link("a", '2', "b")) != with(tests::tar_link("a", '2', "c")));
}

TEST_CASE("a hard link is a file at each of its names", "[files][unit]") {
  const std::string linked =
      TarBuilder().add(tests::tar_item("a", '0', "x")).add(tests::tar_link("b", '1', "a")).finish();
  CHECK(merged_set({linked}) == merged_set({tar_of({{"a", "x"}, {"b", "x"}})}));
  CHECK(layered_set({linked}) == merged_set({linked}));
}

TEST_CASE("a directory gives the set of the tar that was made of it", "[files][unit]") {
  const tests::TempFolder folder("file-set");
  const std::string tree = folder / "tree";
  std::filesystem::create_directories(tree + "/usr/bin");
  tests::write_bytes(tree + "/usr/bin/tool", "tool");
  tests::write_bytes(tree + "/usr/empty", "");
  std::filesystem::create_hard_link(tree + "/usr/bin/tool", tree + "/usr/bin/again");
  std::filesystem::create_symlink("usr/bin", tree + "/bin");
  const std::string tar_path = folder / "tree.tar";
  tests::must_run({"tar", "-C", tree, "--numeric-owner", "-cf", tar_path, "."});
  const FileSet walked = directory_set(tree);
  CHECK(walked.size() == 3);
  CHECK(walked == merged_set({tests::must_run({"cat", tar_path})}));
}
