// SPDX-License-Identifier: Apache-2.0
// Which layers somebody means.
#include <catch2/catch.hpp>

#include "agent/core/verify_target.h"
#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;

template <typename Digest>
Digest digest(const std::string& begin) {
  return *Digest::parse(begin + std::string(64 - begin.size(), '0'));
}

VerifyTask layer(const char* diff_id, const char* shape) {
  VerifyTask task;
  if (*diff_id != '\0') task.known.diff_id = digest<DiffId>(diff_id);
  task.known.shape = digest<ShapeDigest>(shape);
  return task;
}

const std::vector<VerifyRun> kRuns = {{{"aa11", "c0ffee01", "web"}, {0, 1}},
                                      {{"bb22", "c0ffee02", "db"}, {0, 2}},
                                      {{"cc33", "c0ffee02", "db"}, {3}},  // inner
                                      {{"dd44", "", ""}, {3}}};
const std::vector<VerifyTask> kLayers = {layer("1234", "ab"), layer("1235", "cd"), layer("", "cd"),
                                         layer("ffff", "ef")};

TEST_CASE("a target is a container or a layer, by its name or how that begins", "[agent][unit]") {
  struct Row {
    const char* target;
    std::vector<std::size_t> layers;
  };
  const Row rows[] = {
      {"", {0, 1, 2, 3}},      {"web", {0, 1}},      {"c0ffee01", {0, 1}}, {"db", {0, 2, 3}},
      {"c0ffee02", {0, 2, 3}}, {"bb22", {0, 2}},     {"bb", {0, 2}},       {"dd4", {3}},
      {"1234", {0}},           {"sha256:1234", {0}}, {"cd", {1, 2}},  // one shape, two directories
      {"sha256:fff", {3}},     {"ffff", {3}},
  };
  for (const Row& row : rows) {
    INFO(row.target);
    const auto found = find_verify_target(row.target, kRuns, kLayers);
    REQUIRE(found);
    CHECK(*found == row.layers);
  }
}

TEST_CASE("what may mean several things, or nothing, is refused", "[agent][unit]") {
  for (const char* target : {"c0ffee", "123", "sha256:", "sha256:123"}) {
    INFO(target);
    const auto found = find_verify_target(target, kRuns, kLayers);
    REQUIRE_FALSE(found);
    CHECK(found.error().code ==
          (std::string(target) == "sha256:" ? ErrorCode::kNotFound : ErrorCode::kInvalidArgument));
  }
  CHECK(find_verify_target("absent\x1b", kRuns, kLayers).error().message.find('\x1b') ==
        std::string::npos);
  CHECK(find_verify_target("c0ffee", kRuns, kLayers).error().message ==
        "\"c0ffee\" may mean 2: container c0ffee01, container c0ffee02: give more of it");
}

TEST_CASE("the auditor knows the layers of open runs, each once", "[agent][unit]") {
  Fixture fixture;
  fixture.auditor.on_start(container(1, fixture.clock.boot));
  fixture.auditor.on_start(container(2, fixture.clock.boot));
  const auto all = fixture.auditor.layers_to_verify("");
  REQUIRE(all);
  REQUIRE(all->layers.size() == 2);
  CHECK(all->layers[0].known.containers_total == 2);
  CHECK(all->layers[0].task.layer.inode == 100);
  CHECK(all->layers[0].unreadable.empty());
  REQUIRE(all->runs.size() == 2);
  const auto one = fixture.auditor.layers_to_verify(all->runs[0].run_id);
  REQUIRE(one);
  CHECK(one->layers.size() == 2);
  REQUIRE(one->runs.size() == 1);  // the other stands on the same layers
  CHECK(one->runs[0].run_id == all->runs[0].run_id);
  const RunKey first = container(1, fixture.clock.boot).key;
  fixture.auditor.on_emptied({container(2, fixture.clock.boot).key, fixture.clock.boot});
  fixture.clock.boot += std::chrono::seconds(1);
  fixture.auditor.on_sweep(sweep(fixture.clock.boot, {first}));
  CHECK(fixture.auditor.layers_to_verify("")->layers[0].known.containers_total == 1);
  CHECK(fixture.auditor.layers_to_verify("absent").error().code == ErrorCode::kNotFound);
}

}  // namespace
}  // namespace assay::agent
