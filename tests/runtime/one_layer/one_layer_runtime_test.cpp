// SPDX-License-Identifier: Apache-2.0
// One layer, one identity: an image packed by real tools and unpacked by real runtimes has the
// digests that an independent program computed from its tars, whichever way it came (ways.h).
#include <catch2/catch.hpp>

#include <cstdio>
#include <utility>

#include "tests/runtime/one_layer/ways.h"
#include "tests/support/needs.h"
#include "tests/support/runtimes.h"

using namespace assay;
using namespace assay::tests;

namespace assay::tests {

std::string missing_need() {
  return needs_programs({"umoci", "skopeo", "tar", "gzip", "busybox"})();
}

std::vector<image::LayerFingerprint> layers_of(const std::string& source,
                                               const std::string& platform) {
  image::ImageOptions options;
  options.platform = platform;
  std::vector<image::LayerFingerprint> prints;
  for (const image::ImageLayer& layer : must_read(source, options).layers)
    prints.push_back(layer.fingerprint);
  return prints;
}

std::function<std::string()> needs_programs(std::vector<std::string> programs) {
  return [programs = std::move(programs)]() -> std::string {
    for (const std::string& program : programs)
      if (!has_program(program)) return "needs " + program;
    return {};
  };
}

std::function<std::string()> needs_runtime(std::string runtime) {
  return [runtime = std::move(runtime)] { return missing_for_runtime(runtime); };
}

}  // namespace assay::tests

namespace {

void check_same(const image::LayerFingerprint& print, const Expected& wanted, const Way& way) {
  CHECK(print.entries == wanted.entries);
  CHECK(print.shape.hex() == wanted.shape);
  REQUIRE(print.content);
  CHECK(print.content->hex() ==
        (way.loses_xattrs ? wanted.content_without_xattrs : wanted.content));
  CHECK(print.deletions.has_value() != way.hides_deletions);
  if (print.deletions)
    CHECK(print.deletions->hex() ==
          (way.spells_deletions ? wanted.spelled_deletions : wanted.deletions));
  CHECK_FALSE(print.has_redirects);
  CHECK_FALSE(print.is_runtime_injected);
}

std::vector<Expected> wanted_of(const Way& way) {
  if (way.form == Form::kMerged) return {subject().merged()};
  if (way.form == Form::kRoot) return {subject().root()};
  if (way.form == Form::kBottom) return {subject().layers().front()};
  return way.has_no_devices ? subject().deviceless_layers() : subject().layers();
}

// A root as if it were a layer of these digests.
image::LayerFingerprint as_layer(image::LayerFingerprint print) {
  REQUIRE(print.root);
  print.shape = print.root->shape;
  print.content = print.root->content;
  print.entries = print.root->entries;
  return print;
}

void check_way(const Way& way) {
  const std::string missing = way.missing ? way.missing() : std::string();
  std::printf("one layer: %s%s%s\n", way.name.c_str(), way.is_made_by_hand ? " (made by hand)" : "",
              missing.empty() ? "" : (": SKIPPED, " + missing).c_str());
  std::fflush(stdout);
  if (!missing.empty()) return note_missing(way.name + " " + missing);
  const std::vector<image::LayerFingerprint> prints = way.read(subject());
  const std::vector<Expected> wanted = wanted_of(way);
  REQUIRE(prints.size() == wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    CAPTURE(i);
    check_same(way.form == Form::kRoot ? as_layer(prints[i]) : prints[i], wanted[i], way);
  }
}

std::vector<Way> all_ways() {
  std::vector<Way> ways;
  for (const auto& some : {archive_ways(), tar_ways(), writer_ways(), directory_ways(),
                           store_ways(), other_directory_ways()})
    ways.insert(ways.end(), some.begin(), some.end());
  return ways;
}

}  // namespace

// One row alone: one_layer_runtime_test "a layer has one identity*" -c "NAME OF THE ROW"
TEST_CASE("a layer has one identity whichever way it comes", "[image][runtime]") {
  for (const Way& way : all_ways())
    DYNAMIC_SECTION(way.name) {
      check_way(way);
    }
}

TEST_CASE("of a container's layers only docker's own is told as injected", "[image][runtime]") {
  if (!subject().is_varied_tree()) return;  // another base may have no such program
  const std::string name = GENERATE("docker", "containerd", "podman");
  CAPTURE(name);
  if (const std::string missing = missing_for_runtime(name); !missing.empty())
    return note_missing(missing);
  const auto runtime = start_runtime(name);
  runtime->load(subject().docker_archive());
  const std::string id = runtime->start(Subject::name(), "one", {"/bin/sleep", "600"});
  const auto folders = runtime->container_directories(name == "containerd" ? "one" : id);
  std::size_t injected = 0;
  for (const std::string& folder : folders)
    injected += must_walk(folder).is_runtime_injected ? 1 : 0;
  CHECK(injected == (name == "docker" ? 1 : 0));
  CHECK(folders.size() == (name == "docker" ? 3 : 2));
  if (name == "docker") CHECK(must_walk(folders.back()).is_runtime_injected);
  runtime->remove("one");
}
