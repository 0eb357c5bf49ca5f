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

std::unique_ptr<StateDb> open(const Scratch& scratch) {
  auto state = StateDb::open(scratch.path("state.db"));
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

TEST_CASE("a known layer is found again after a restart", "[agent][unit]") {
  const Scratch scratch;
  REQUIRE(open(scratch)->store(make_key(), make_layer()));
  const auto found = open(scratch)->find(make_key());
  REQUIRE(found);
  CHECK(found->evidence == make_layer().evidence);
  CHECK(found->entries == 7);
  CHECK(found->content_bytes == 99);
  CHECK(found->about == make_layer().about);
}

TEST_CASE("a record is found again by exactly its directory", "[agent][unit]") {
  const Scratch scratch;
  const catalog::LayerInstance instance{"uuid:1", 12, 34, 56};
  const std::string bytes("record\0with a zero", 18);
  REQUIRE(open(scratch)->keep_record(instance, {bytes, "/a (mode)"}));
  const auto state = open(scratch);  // after a restart
  const auto found = state->find_record(instance);
  REQUIRE(found);
  REQUIRE(*found);
  CHECK((*found)->record == bytes);
  CHECK((*found)->tampered == "/a (mode)");
  CHECK(*state->find_tampered(instance) == "/a (mode)");
  // An inode that was given to another directory: another generation, or another birth.
  for (const catalog::LayerInstance& other :
       {catalog::LayerInstance{"uuid:2", 12, 34, 56}, catalog::LayerInstance{"uuid:1", 13, 34, 56},
        catalog::LayerInstance{"uuid:1", 12, 35, 56},
        catalog::LayerInstance{"uuid:1", 12, 34, 57}}) {
    CHECK_FALSE(*state->find_record(other));
    CHECK(state->find_tampered(other)->empty());
  }
}

TEST_CASE("a record that cannot be read is an error, not a layer without one", "[agent][unit]") {
  const Scratch scratch;
  const catalog::LayerInstance instance{"uuid:1", 12, 34, 56};
  const auto state = open(scratch);
  REQUIRE(state->keep_record(instance, {"record", "/a (mode)"}));
  auto database = sqlite::Database::open(scratch.path("state.db"), {});
  REQUIRE(database);
  REQUIRE(database->execute("ALTER TABLE layer_records RENAME TO away"));
  CHECK_FALSE(state->find_record(instance));
  CHECK_FALSE(state->find_tampered(instance));
  REQUIRE(database->execute("ALTER TABLE away RENAME TO layer_records"));
  CHECK((*state->find_record(instance))->tampered == "/a (mode)");
}

struct Records {
  Records() {
    auto opened = sqlite::Database::open(scratch.path("records.db"), {});
    REQUIRE(opened);
    database.emplace(std::move(*opened));
    REQUIRE(
        database->migrate({"CREATE TABLE layers (x);" + std::string(LayerRecordTable::kSchema)}));
  }
  static catalog::LayerInstance instance(std::uint64_t inode) { return {"uuid:1", inode, 1, 1}; }
  void keep(std::uint64_t inode, const std::string& tampered = "",
            std::size_t bytes = kRecordBytes) {
    REQUIRE(table.keep(*database, instance(inode), {std::string(bytes, 'r'), tampered}));
  }
  std::optional<KeptRecord> find(std::uint64_t inode) {
    auto found = table.find(*database, instance(inode));
    REQUIRE(found);
    return *found;
  }
  static constexpr std::size_t kRecordBytes = 64U << 10;
  static constexpr std::uint64_t kFit = 15;
  Scratch scratch;
  std::optional<sqlite::Database> database;
  LayerRecordTable table{1U << 20};
};

TEST_CASE("records are bounded, and those of changed layers go last", "[agent][unit]") {
  Records records;
  for (std::uint64_t inode = 1; inode <= 100; ++inode)
    records.keep(inode, inode == 1 ? "/a (mode)" : "");
  CHECK(records.find(1)->record.size() == Records::kRecordBytes);
  std::uint64_t kept = 0;
  for (std::uint64_t inode = 1; inode <= 100; ++inode)
    kept += records.find(inode) ? 1 : 0;
  CHECK(kept == Records::kFit);
  CHECK(records.table.evicted() == 100 - Records::kFit);
  CHECK_FALSE(records.find(2));
  CHECK(records.find(100));
}

TEST_CASE("what was found outlives its record", "[agent][unit]") {
  Records records;
  for (std::uint64_t inode = 1; inode <= 100; ++inode)
    records.keep(inode, "/a (mode)");
  std::uint64_t with_record = 0;
  for (std::uint64_t inode = 1; inode <= 100; ++inode) {
    const auto found = records.find(inode);
    REQUIRE(found);
    CHECK(found->tampered == "/a (mode)");
    with_record += found->record.empty() ? 0 : 1;
  }
  CHECK(with_record >= Records::kFit - 1);
  CHECK(with_record <= Records::kFit);
  CHECK(records.find(1)->record.empty());
  CHECK_FALSE(records.find(100)->record.empty());
}

TEST_CASE("what was found goes when there is nothing but that", "[agent][unit]") {
  Records records;
  for (std::uint64_t inode = 1; inode <= 2000; ++inode)
    records.keep(inode, std::string(960, 'x'), 0);
  CHECK_FALSE(records.find(1));
  CHECK(records.find(2000));
}

TEST_CASE("a record that was looked at goes later", "[agent][unit]") {
  Records records;
  for (std::uint64_t inode = 1; inode <= Records::kFit; ++inode)
    records.keep(inode);
  REQUIRE(records.database->execute("UPDATE layer_records SET stored_ns = inode"));
  REQUIRE(LayerRecordTable::renew(*records.database, Records::instance(1)));
  records.keep(50);
  CHECK(records.find(1));
  CHECK_FALSE(records.find(2));
}

TEST_CASE("a cache from before layers spoke of themselves is filled anew", "[agent][unit]") {
  const Scratch scratch;
  REQUIRE(open(scratch)->store(make_key(), make_layer()));
  {
    auto database = sqlite::Database::open(scratch.path("state.db"), {});
    REQUIRE(database);
    REQUIRE(database->execute(
        "ALTER TABLE layers DROP COLUMN about; CREATE TABLE open_runs (id);"
        " DROP TABLE delivery; DROP TABLE time_floor; DROP TABLE catalog_roots;"
        " DROP TABLE catalog_mark; DROP TABLE layer_records; PRAGMA user_version=2"));
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

TEST_CASE("how far the outbox was delivered comes back", "[agent][unit]") {
  const Scratch scratch;
  CHECK_FALSE(open(scratch)->delivery());
  Delivery delivery;
  delivery.epoch.fill(7);
  delivery.until = from_unix_ns(1'234'567);
  open(scratch)->put_delivery({{}, from_unix_ns(1)});
  open(scratch)->put_delivery(delivery);
  CHECK(open(scratch)->delivery() == delivery);
}

TEST_CASE("the floor of time only rises", "[agent][unit]") {
  const Scratch scratch;
  CHECK_FALSE(open(scratch)->time_floor());
  open(scratch)->put_time_floor(from_unix_ns(2'000));
  open(scratch)->put_time_floor(from_unix_ns(1'000));
  CHECK(open(scratch)->time_floor() == from_unix_ns(2'000));
}

TEST_CASE("a damaged state.db is set aside and an empty one is used", "[agent][unit]") {
  const Scratch scratch;
  REQUIRE(open(scratch)->save_catalog({{"one"}, "head"}));
  scratch.write("state.db", std::string(8192, 'x'));
  const auto state = open(scratch);
  REQUIRE(state->set_aside());
  CHECK(state->set_aside()->path == scratch.path("state.db.corrupt-1"));
  CHECK(std::filesystem::file_size(scratch.path("state.db.corrupt-1")) == 8192);
  CHECK(state->load_catalog()->head.empty());
  REQUIRE(state->save_catalog({{"two"}, "head"}));
  CHECK_FALSE(open(scratch)->set_aside());
}

TEST_CASE("a state.db of a newer version is refused, not set aside", "[agent][unit]") {
  const Scratch scratch;
  open(scratch);
  REQUIRE(sqlite::Database::open(scratch.path("state.db"), {})->execute("PRAGMA user_version=99"));
  const auto state = StateDb::open(scratch.path("state.db"));
  REQUIRE_FALSE(state);
  CHECK(state.error().code == ErrorCode::kUnsupported);
  CHECK(state.error().text().find("state.db") != std::string::npos);
  CHECK(state.error().text().find("newer") != std::string::npos);
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
