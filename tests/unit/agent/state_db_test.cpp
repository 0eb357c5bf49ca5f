// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/state_db.h"

#include <catch2/catch.hpp>

#include "common/base/sha256.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

std::unique_ptr<StateDb> open(const Scratch& scratch, const std::string& boot_id = "boot-1") {
  auto state = StateDb::open(scratch.path("state.db"), boot_id);
  REQUIRE(state);
  return std::move(*state);
}

LayerKey make_key() {
  return {{"uuid:1", 12, 34, 56}, "", "trusted", 1};
}

KnownLayer make_layer() {
  KnownLayer layer;
  layer.evidence.shape = ShapeDigest{sha256("shape").bytes};
  layer.evidence.content = ContentDigest{sha256("content").bytes};
  layer.evidence.is_capped_at_shape = true;
  layer.entries = 7;
  layer.content_bytes = 99;
  layer.about = R"({"nodes":{}})";
  return layer;
}

OpenRun make_run(const std::string& id) {
  return {
      id, {{1, 0xFFFFFFFFFFFFFFFF, 3, 4}, 5}, {6, BootTime(7)}, StackDigest{sha256("stack").bytes}};
}

TEST_CASE("a known layer is found again after a restart", "[agent][unit]") {
  const Scratch scratch;
  REQUIRE(open(scratch)->store(make_key(), make_layer()));
  const auto found = open(scratch, "boot-2")->find(make_key());
  REQUIRE(found);
  CHECK(found->evidence == make_layer().evidence);
  CHECK(found->entries == 7);
  CHECK(found->content_bytes == 99);
  CHECK(found->about == make_layer().about);
}

TEST_CASE("a cache from before layers spoke of themselves is filled anew", "[agent][unit]") {
  const Scratch scratch;
  REQUIRE(open(scratch)->store(make_key(), make_layer()));
  {
    auto database = sqlite::Database::open(scratch.path("state.db"), {});
    REQUIRE(database);
    REQUIRE(database->execute("ALTER TABLE layers DROP COLUMN about; PRAGMA user_version=2"));
  }
  const auto state = open(scratch);
  CHECK_FALSE(state->find(make_key()));
  REQUIRE(state->store(make_key(), make_layer()));
  REQUIRE(state->flush(kDeadline));
  CHECK(state->find(make_key())->about == make_layer().about);
}

TEST_CASE("each part of the layer's key counts", "[agent][unit]") {
  const Scratch scratch;
  const auto state = open(scratch);
  REQUIRE(state->store(make_key(), make_layer()));
  REQUIRE(state->flush(kDeadline));
  const std::vector<std::pair<const char*, void (*)(LayerKey&)>> changes = {
      {"file system", [](LayerKey& key) { key.instance.file_system = "uuid:2"; }},
      {"inode", [](LayerKey& key) { ++key.instance.inode; }},
      {"generation", [](LayerKey& key) { ++key.instance.generation; }},
      {"birth", [](LayerKey& key) { ++key.instance.birth_ns; }},
      {"id map", [](LayerKey& key) { key.id_map = "u:0:1:2"; }},
      {"overlay options", [](LayerKey& key) { key.overlay_options = "user"; }},
      {"fingerprint version", [](LayerKey& key) { ++key.fingerprint_version; }},
  };
  for (const auto& [name, change] : changes) {
    INFO(name);
    LayerKey key = make_key();
    change(key);
    CHECK_FALSE(state->find(key).has_value());
  }
  CHECK(state->find(make_key()).has_value());
}

TEST_CASE("open runs of this boot come back whole", "[agent][unit]") {
  const Scratch scratch;
  {
    const auto state = open(scratch);
    state->put(make_run("a"));
    state->put(make_run("b"));
    state->erase("a");
  }
  const auto runs = open(scratch)->load();
  REQUIRE(runs.size() == 1);
  CHECK(runs[0].run_id == "b");
  CHECK(runs[0].key == make_run("b").key);
  CHECK(runs[0].first_process == make_run("b").first_process);
  CHECK(runs[0].stack == make_run("b").stack);
}

TEST_CASE("open runs of another boot are over", "[agent][unit]") {
  const Scratch scratch;
  open(scratch)->put(make_run("a"));
  {
    const auto state = open(scratch, "boot-2");
    CHECK(state->load().empty());
    CHECK(state->load_of_other_boots() == std::vector<RunId>{"a"});
    state->erase("a");
  }
  CHECK(open(scratch, "boot-2")->load_of_other_boots().empty());
  CHECK(open(scratch)->load().empty());
}

TEST_CASE("the trusted catalog comes back byte for byte", "[agent][unit]") {
  const Scratch scratch;
  const StoredCatalog catalog{{"{\"first\":1}", std::string("\0\xff", 2)}, "head"};
  CHECK(open(scratch)->load_catalog()->head.empty());
  REQUIRE(open(scratch)->save_catalog({{"older"}, "older head"}));
  REQUIRE(open(scratch)->save_catalog(catalog));
  const auto loaded = open(scratch)->load_catalog();
  REQUIRE(loaded);
  CHECK(*loaded == catalog);
}

TEST_CASE("the highest catalog that was trusted stays known", "[agent][unit]") {
  const Scratch scratch;
  CHECK_FALSE(open(scratch)->load_catalog()->floor);
  const CatalogFloor floor{"id", 7, sha256("entry 7")};
  REQUIRE(open(scratch)->save_catalog({{"one"}, "head", floor}));
  REQUIRE(open(scratch)->save_catalog({{}, "", std::nullopt}));
  CHECK(open(scratch)->load_catalog()->floor == floor);
}

}  // namespace
}  // namespace assay::agent
