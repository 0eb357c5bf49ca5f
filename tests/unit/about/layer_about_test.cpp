// SPDX-License-Identifier: Apache-2.0
// What images and directories say of themselves, through the fingerprinting that reads them.
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <map>

#include "common/about/layer_about_reader.h"
#include "common/image/image.h"
#include "tests/support/command.h"
#include "tests/support/rpm_builder.h"
#include "tests/support/tar_builder.h"

using namespace assay;
using namespace assay::about;
using namespace assay::tests;
using catalog::About;

namespace {

const std::string kDebian = "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian 12\"\n";
const std::string kAlpine = "ID=alpine\nVERSION_ID=3.20\nPRETTY_NAME=\"Alpine\"\n";

std::string dpkg_block(const std::string& name) {
  return "Package: " + name + "\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n";
}

TarItem file(const std::string& name, const std::string& data) {
  TarItem item;
  item.name = name;
  item.data = data;
  return item;
}

TarItem link_item(const std::string& name, const std::string& target, char type = '2') {
  TarItem item;
  item.name = name;
  item.type = type;
  item.link = target;
  return item;
}

using Layer = std::vector<TarItem>;

About about_of(const std::string& source, bool keeps_list = false) {
  ListBudget budget;
  std::map<std::size_t, LayerAboutReader> readers;
  image::ImageOptions options;
  options.observer_of = [&](std::size_t layer) {
    return &readers
                .try_emplace(layer, keeps_list ? &budget : nullptr, ReaderLimits{},
                             std::stop_token{})
                .first->second;
  };
  const auto image = image::read_image(source, options, {});
  if (!image) FAIL(image.error().text());
  std::vector<catalog::LayerAbout> layers;
  for (auto& [layer, reader] : readers)
    layers.push_back(reader.take());
  return merge_about(layers);
}

About about_of(const std::vector<Layer>& layers, bool keeps_list = false) {
  const TempFolder folder("about");
  std::vector<ImageLayerBytes> tars;
  for (const Layer& layer : layers) {
    TarBuilder tar;
    for (const TarItem& item : layer)
      tar.add(item);
    tars.push_back({tar.finish(), "", ""});
  }
  write_bytes(folder / "image.tar", pack(oci_files(tars)));
  return about_of(folder / "image.tar", keeps_list);
}

std::string id_of(const std::vector<Layer>& layers) {
  const About about = about_of(layers);
  return about.distribution ? about.distribution->id : "none: " + about.gap;
}

std::uint64_t packages_of(const About& about) {
  REQUIRE(about.databases.size() == 1);
  CHECK(about.databases[0].gap.empty());
  return about.databases[0].packages;
}

}  // namespace

TEST_CASE("layers that say nothing give nothing", "[about][unit]") {
  CHECK(about_of(std::vector<Layer>{{file("bin/app", "x")}}) == About{});
  CHECK(about_of(std::vector<Layer>{{}}) == About{});
}

TEST_CASE("os-release is found through links, within a layer and across them", "[about][unit]") {
  struct Row {
    const char* name;
    std::vector<Layer> layers;
    std::string wanted;
  };
  const TarItem usual = link_item("etc/os-release", "../usr/lib/os-release");
  const TarItem debian = file("usr/lib/os-release", kDebian);
  const TarItem alpine = file("usr/lib/os-release", kAlpine);
  const Row rows[] = {
      {"a file in etc", {{file("etc/os-release", kDebian)}}, "debian"},
      {"only in usr/lib", {{debian}}, "debian"},
      {"the usual link", {{usual, debian}}, "debian"},
      {"an absolute link",
       {{link_item("etc/os-release", "/usr/lib/os-release"), debian}},
       "debian"},
      {"the link below, the file above", {{usual}, {debian}}, "debian"},
      {"the file below, the link above", {{debian}, {usual}}, "debian"},
      {"an upper layer replaces the file", {{usual, debian}, {alpine}}, "alpine"},
      {"etc wins over usr/lib", {{debian, file("etc/os-release", kAlpine)}}, "alpine"},
      {"a whiteout hides the file",
       {{usual, debian}, {file("usr/lib/.wh.os-release", "")}},
       "none: etc/os-release: it leads to usr/lib/os-release, which is not read"},
      {"a whiteout hides the folder", {{debian}, {file("usr/.wh.lib", "")}}, "none: "},
      {"an opaque folder hides what is below",
       {{debian}, {file("usr/.wh..wh..opq", ""), file("usr/bin/x", "")}},
       "none: "},
      {"an opaque folder keeps its own layer's file",
       {{alpine}, {file("usr/lib/.wh..wh..opq", ""), debian}},
       "debian"},
      {"a linked folder",
       {{link_item("usr/lib", "../lib"), file("lib/os-release", kDebian)}},
       "none: "},  // lib/os-release is no file that is read
      {"a folder that is a link to a known one", {{link_item("etc", "usr/lib"), debian}}, "debian"},
      {"a link in a circle",
       {{link_item("etc/os-release", "os-release")}},
       "none: etc/os-release: it leads to etc/os-release, which is not read"},
      {"a link that leaves the root",
       {{link_item("etc/os-release", "../../../../../usr/lib/os-release"), debian}},
       "debian"},  // above the root there is the root
      {"a link elsewhere",
       {{link_item("etc/os-release", "/nix/store/x/os-release")}},
       "none: etc/os-release: it leads to nix/store/x/os-release, which is not read"},
      {"a later file of the same name counts",
       {{file("etc/os-release", kAlpine), file("etc/os-release", kDebian)}},
       "debian"},
      {"a file that names nothing",
       {{file("etc/os-release", "#\n")}},
       "none: etc/os-release: it names no distribution"},
      {"a file that is too large",
       {{file("etc/os-release", kDebian + std::string(70'000, '#'))}},
       "none: etc/os-release: it is larger than 64 KiB, so it is not read"},
      {"a hard link to a file that came before",
       {{file("sysroot/objects/ab.file", kDebian),
         link_item("usr/lib/os-release", "sysroot/objects/ab.file", '1')}},
       "debian"},
      {"a hard link to a file that comes after",
       {{link_item("usr/lib/os-release", "sysroot/objects/ab.file", '1'),
         file("sysroot/objects/ab.file", kDebian)}},
       "debian"},
      {"a device in its place", {{link_item("etc/os-release", "", '3')}, {debian}}, "debian"},
  };
  for (const Row& row : rows) {
    INFO(row.name);
    CHECK(id_of(row.layers) == row.wanted);
  }
}

TEST_CASE("the top layer's package database counts", "[about][unit]") {
  const std::string one = dpkg_block("a"), two = dpkg_block("a") + dpkg_block("b");
  const About about =
      about_of({{file("var/lib/dpkg/status", one)}, {file("var/lib/dpkg/status", two)}}, true);
  CHECK(packages_of(about) == 2);
  CHECK(about.databases[0].manager == "dpkg");
  CHECK(about.databases[0].path == "var/lib/dpkg/status");
  CHECK(about.databases[0].list.size() == 2);
  CHECK(about_of({{file("var/lib/dpkg/status", one)}, {file("var/lib/dpkg/.wh.status", "")}}) ==
        About{});
}

TEST_CASE("distroless counts one package a file, over all layers", "[about][unit]") {
  const auto status = [](const std::string& name) {
    return file("var/lib/dpkg/status.d/" + name, "Package: " + name + "\nVersion: 1\n");
  };
  const TarItem sums = file("var/lib/dpkg/status.d/base.md5sums", "0 Package: no\n");
  const About about = about_of({{status("base"), sums, status("tzdata")},
                                {status("libssl3"), status("tzdata")},
                                {file("var/lib/dpkg/status.d/.wh.base", "")}},
                               true);
  CHECK(packages_of(about) == 2);
  CHECK(about.databases[0].format == "status.d");
  CHECK(about.databases[0].list[0].name == "libssl3");
}

TEST_CASE("apk's database is found in both places, and once through a link", "[about][unit]") {
  const std::string installed = "P:musl\nV:1\nA:x86_64\n\n";
  CHECK(packages_of(about_of({{file("lib/apk/db/installed", installed)}})) == 1);
  const About merged =
      about_of({{link_item("lib", "usr/lib"), file("usr/lib/apk/db/installed", installed)}});
  CHECK(packages_of(merged) == 1);
  CHECK(merged.databases[0].path == "usr/lib/apk/db/installed");
}

TEST_CASE("rpm's databases are read, or said to be there", "[about][unit]") {
  const std::string sqlite = sqlite_bytes(kRpmSchema, {rpm_header("bash"), rpm_header("glibc")});
  CHECK(packages_of(about_of({{file("var/lib/rpm/rpmdb.sqlite", sqlite),
                               file("var/lib/rpm/rpmdb.sqlite-wal", "")}})) == 2);
  const About linked = about_of({{link_item("var/lib/rpm", "../../usr/lib/sysimage/rpm"),
                                  file("usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite)}});
  CHECK(packages_of(linked) == 2);
  CHECK(linked.databases[0].path == "usr/lib/sysimage/rpm/rpmdb.sqlite");
  struct Row {
    const char* name;
    Layer layer;
    const char* format;
    const char* gap;
  };
  const Row rows[] = {
      {"ndb", {file("usr/lib/sysimage/rpm/Packages.db", "RpmP")}, "ndb", "ndb is not read"},
      {"bdb", {file("var/lib/rpm/Packages", "x")}, "bdb", "Berkeley DB"},
      {"an open log",
       {file("var/lib/rpm/rpmdb.sqlite", sqlite), file("var/lib/rpm/rpmdb.sqlite-wal", "x")},
       "sqlite",
       "write-ahead log"},
      {"no database", {file("var/lib/rpm/rpmdb.sqlite", "x")}, "sqlite", "SQLite"}};
  for (const Row& row : rows) {
    INFO(row.name);
    const About about = about_of({row.layer});
    REQUIRE(about.databases.size() == 1);
    CHECK(about.databases[0].manager == "rpm");
    CHECK(about.databases[0].format == row.format);
    CHECK_THAT(about.databases[0].gap, Catch::Matchers::Contains(row.gap));
  }
}

TEST_CASE("a directory says the same as its tar", "[about][unit]") {
  const TempFolder folder("about");
  for (const char* path : {"etc", "usr/lib", "var/lib/dpkg", "var/lib/rpm"})
    std::filesystem::create_directories(folder / path);
  write_bytes(folder / "usr/lib/os-release", kDebian);
  REQUIRE(::symlink("../usr/lib/os-release", (folder / "etc/os-release").c_str()) == 0);
  write_bytes(folder / "var/lib/dpkg/status", dpkg_block("a") + dpkg_block("b"));
  write_bytes(folder / "var/lib/rpm/rpmdb.sqlite", sqlite_bytes(kRpmSchema, {rpm_header("bash")}));
  const About about = about_of(folder.path(), true);
  REQUIRE(about.distribution);
  CHECK(about.distribution->id == "debian");
  REQUIRE(about.databases.size() == 2);
  CHECK(about.databases[0].packages == 2);
  CHECK(about.databases[1].packages == 1);
  CHECK(about.databases[1].list[0].name == "bash");
}

TEST_CASE("what a layer says survives the agent's own tables", "[about][unit]") {
  catalog::LayerAbout layer;
  layer.nodes["etc/os-release"].kind = catalog::AboutNode::Kind::kLink;
  layer.nodes["etc/os-release"].target = "../usr/lib/os-release";
  catalog::AboutNode file_node;
  file_node.kind = catalog::AboutNode::Kind::kFile;
  file_node.distribution = catalog::Distribution{"debian", "12", "Debian 12", "slim"};
  layer.nodes["usr/lib/os-release"] = file_node;
  file_node = {};
  file_node.kind = catalog::AboutNode::Kind::kFile;
  file_node.database = catalog::PackageDatabase{"dpkg", "status", "", 88, "a gap", {}};
  layer.nodes["var/lib/dpkg/status"] = file_node;
  layer.whiteouts = {"usr/lib/apk"};
  layer.opaques = {""};
  const std::string text = catalog::encode_about(layer);
  const auto read = catalog::decode_about(text);
  REQUIRE(read);
  CHECK(*read == layer);
  CHECK(catalog::encode_about(catalog::LayerAbout{}).empty());
  CHECK(*catalog::decode_about("") == catalog::LayerAbout{});
  CHECK_FALSE(catalog::decode_about("[1]"));
  CHECK_FALSE(catalog::decode_about("{"));
  CHECK(catalog::decode_about(R"({"nodes":5,"whiteouts":{"a":1}})"));
  const About merged = catalog::merge_about({&layer, 1});
  const auto again = catalog::decode_merged_about(catalog::encode_about(merged));
  REQUIRE(again);
  CHECK(*again == merged);
  CHECK(merged.databases[0].packages == 88);
}

TEST_CASE("more files than the limit are a gap, not more memory", "[about][unit]") {
  Layer layer;
  for (int i = 0; i < 5000; ++i)
    layer.push_back(file("var/lib/dpkg/status.d/p" + std::to_string(i), "Package: p\n"));
  const About about = about_of({layer});
  REQUIRE(about.databases.size() == 1);
  CHECK(about.databases[0].packages <= 4096);
  CHECK_FALSE(about.databases[0].gap.empty());
}

TEST_CASE("lists of packages share a budget; their numbers do not need it", "[about][unit]") {
  ListBudget budget{3};
  const std::string status = dpkg_block("a") + dpkg_block("b");
  const MemoryBytes bytes(status);
  image::Entry entry;
  entry.size = status.size();
  std::vector<catalog::PackageDatabase> databases;
  for (int i = 0; i < 2; ++i) {
    LayerAboutReader reader(&budget, {}, {});
    REQUIRE(reader.wanted_bytes("var/lib/dpkg/status", 0) >= entry.size);
    reader.on_file("var/lib/dpkg/status", 0, bytes);
    reader.on_record("var/lib/dpkg/status", entry, nullptr, 0);
    reader.on_deletions(nullptr);
    const catalog::LayerAbout layer = reader.take();
    databases.push_back(catalog::merge_about({&layer, 1}).databases.at(0));
  }
  CHECK(databases[0].list.size() == 2);
  CHECK(databases[0].gap.empty());
  CHECK(databases[1].packages == 2);
  CHECK(databases[1].list.empty());
  CHECK_FALSE(databases[1].gap.empty());
}
