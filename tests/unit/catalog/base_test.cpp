// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

TEST_CASE("base names are read with and without a version", "[catalog][unit]") {
  CHECK(id_of("debian:12") == BaseId{"debian", "12"});
  CHECK(id_of("golden/debian-slim:12.5_1") == BaseId{"golden/debian-slim", "12.5_1"});
  CHECK(id_of("debian") == BaseId{"debian", ""});
  for (const std::string& text :
       {std::string(), std::string(":12"), std::string("debian:"), std::string("Debian:12"),
        std::string("a b"), std::string("a:b:c"), std::string("a:b/c"), std::string("/a"),
        std::string("a/"), std::string("a//b"), std::string("a\x1b"), std::string("a\0b", 3),
        std::string(256, 'a')}) {
    INFO(text);
    CHECK_FALSE(BaseId::parse(text));
  }
}

TEST_CASE("a stack is found by shape, content or diff ID of its bottom layer", "[catalog][unit]") {
  const Catalog catalog =
      catalog_of({base("a:1", {"A", "B"}), base("b:1", {"A"}), base("c:1", {"C"})});
  LayerEvidence by_shape, by_content, by_claim, by_all;
  by_shape.shape = by_all.shape = shape("A");
  by_content.content = by_all.content = content("A");
  by_claim.claimed = by_all.claimed = diff_id("A");
  for (const auto& evidence : {by_shape, by_content, by_claim, by_all})
    CHECK(catalog.candidates(evidence).size() == 2);
  by_shape.shape = shape("B");
  CHECK(catalog.candidates(by_shape).empty());
}

TEST_CASE("the index survives a move of the catalog", "[catalog][unit]") {
  Catalog first = catalog_of({base("a:1", {"A"})});
  const Catalog second = std::move(first);
  LayerEvidence evidence;
  evidence.shape = shape("A");
  const auto found = second.candidates(evidence);
  REQUIRE(found.size() == 1);
  CHECK(found[0].base == second.find(id_of("a:1")));
}

TEST_CASE("versions of a name come in order and without its neighbours", "[catalog][unit]") {
  const Catalog catalog = catalog_of(
      {base("a:2", {"A"}), base("a:1", {"A"}), base("ab:1", {"A"}), base("a/b:1", {"A"})});
  const auto versions = catalog.versions_of("a");
  REQUIRE(versions.size() == 2);
  CHECK(versions[0]->id.version == "1");
  CHECK(catalog.versions_of("b").empty());
  CHECK(catalog.find(id_of("a:3")) == nullptr);
}

TEST_CASE("the next date that changes a verdict is found", "[catalog][unit]") {
  const WallTime now = parse_rfc3339("2026-06-01T00:00:00Z").value();
  const auto in_hours = [&](int hours) { return now + std::chrono::hours(hours); };
  Base expiring = base("a:1", {"A"}), deprecated = base("b:1", {"B"}), revoked = base("c:1", {"C"});
  expiring.expires_at = in_hours(5);
  deprecated.status = BaseStatus::kDeprecated;
  deprecated.deprecated_until = in_hours(3);
  revoked.status = BaseStatus::kRevoked;
  revoked.expires_at = in_hours(1);  // revoked stays revoked
  const Catalog catalog = catalog_of({expiring, deprecated, revoked});
  CHECK(catalog.next_change_after(now) == in_hours(3));
  CHECK(catalog.next_change_after(in_hours(3)) == in_hours(5));
  CHECK_FALSE(catalog.next_change_after(in_hours(5)));
}

TEST_CASE("statuses and rungs are read as they are written", "[catalog][unit]") {
  for (const auto status :
       {BaseStatus::kDraft, BaseStatus::kApproved, BaseStatus::kDeprecated, BaseStatus::kRevoked})
    CHECK(parse_base_status(to_string(status)).value() == status);
  for (int i = 0; i <= static_cast<int>(Rung::kExact); ++i)
    CHECK(parse_rung(to_string(static_cast<Rung>(i))).value() == static_cast<Rung>(i));
  CHECK_FALSE(parse_base_status("gone"));
  CHECK_FALSE(parse_rung("Shape"));
}
