// SPDX-License-Identifier: Apache-2.0
// Other forms of a base's layers: roots without layers (vfs, native), layers without devices.
#include <catch2/catch.hpp>

#include "common/catalog/judge.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();

Base with_root(Base made) {
  const std::string word = "root of " + made.id.text();
  for (BaseStack& stack : made.stacks)
    stack.root = BaseRoot{shape(word), content(word), 20, 2000};
  return made;
}

Base with_status(Base made, BaseStatus status) {
  made.status = status;
  return made;
}

// A run on one directory, as an agent describes it.
Stack root_of(const std::string& base_id, bool has_content = true) {
  LayerEvidence evidence;
  evidence.shape = shape("root of " + base_id);
  if (has_content) evidence.content = content("root of " + base_id);
  evidence.deletions = deletions("none");
  evidence.is_mutable = true;
  return {"c", "n", {layer_with(evidence)}, ""};
}

const Base kDebian = with_root(base("debian:12", {"D"}));
const Base kJava = with_root(base("java:17", {"D", "J"}));
const Base kOther = with_root(base("other:1", {"O"}));

}  // namespace

TEST_CASE("a root is recognised by the base whose layers make it", "[catalog][unit]") {
  const Verdict verdict = judge(root_of("java:17"), catalog_of({kDebian, kJava, kOther}), kNow);
  CHECK(verdict.status == VerdictStatus::kApproved);
  CHECK(verdict.rung == Rung::kContent);
  CHECK(verdict.base_name() == "java:17");
  CHECK(verdict.application_layers == 0);
  REQUIRE(verdict.matches.size() == 2);  // debian:12 lies below it, says the catalog
  CHECK(verdict.matches[1].base.text() == "debian:12");
  CHECK(verdict.matches[1].layers == 1);
}

TEST_CASE("a revoked base below the one that a root was made of is bad news", "[catalog][unit]") {
  const Catalog catalog = catalog_of({with_status(kDebian, BaseStatus::kRevoked), kJava});
  const Verdict verdict = judge(root_of("java:17"), catalog, kNow);
  CHECK(verdict.status == VerdictStatus::kRevoked);
  CHECK(verdict.base_name() == "java:17");
  CHECK(causes_of(verdict, root_of("java:17"), false).front().kind == FindingKind::kRevokedBase);
}

TEST_CASE("a root's shape alone is not enough", "[catalog][unit]") {
  const Verdict verdict = judge(root_of("java:17", false), catalog_of({kDebian, kJava}), kNow);
  CHECK(verdict.status == VerdictStatus::kPending);
  CHECK(verdict.rung == Rung::kShape);
  for (const BaseMatch& match : verdict.matches)
    CHECK(match.rung == Rung::kShape);
}

TEST_CASE("a root is not taken for a layer, nor a layer for a root", "[catalog][unit]") {
  const Catalog catalog = catalog_of({kDebian});
  LayerEvidence layer;
  layer.shape = shape("D");
  layer.content = content("D");
  const Stack stack{"c", "n", {layer_with(layer)}, ""};
  CHECK(judge(stack, catalog, kNow).base_name() == "debian:12");
  CHECK(judge(root_of("debian:12"), catalog, kNow).base_name() == "debian:12");
  const Catalog without_roots = catalog_of({base("debian:12", {"D"})});
  CHECK(judge(root_of("debian:12"), without_roots, kNow).status == VerdictStatus::kUnknown);
  CHECK(judge(root_of("debian:11"), catalog, kNow).status == VerdictStatus::kUnknown);
}

TEST_CASE("a root that only looks like a base's contradicts it", "[catalog][unit]") {
  Stack stack = root_of("debian:12");
  stack.layers[0].evidence.content = content("other bytes");
  const Verdict verdict = judge(stack, catalog_of({kDebian}), kNow);
  CHECK(verdict.status == VerdictStatus::kUnknown);
  CHECK(verdict.contradictions.size() == 1);
}

TEST_CASE("a layer that was unpacked without its devices is the base's", "[catalog][unit]") {
  Base golden = base("debian:12", {"D", "E"});
  golden.stacks[0].layers[0].deviceless = BaseDeviceless{shape("D'"), content("D'")};
  const auto layer = [](const std::string& word, bool has_content) {
    LayerEvidence evidence;
    evidence.shape = shape(word);
    if (has_content) evidence.content = content(word);
    evidence.deletions = deletions("none");
    return layer_with(evidence);
  };
  const Stack stack{"c", "n", {layer("D'", true), layer("E", true)}, ""};
  CHECK(judge(stack, catalog_of({golden}), kNow).status == VerdictStatus::kApproved);
  const Stack looks{"c", "n", {layer("D'", false), layer("E", true)}, ""};
  CHECK(judge(looks, catalog_of({golden}), kNow).rung == Rung::kShape);
  golden.stacks[0].layers[0].deviceless.reset();
  CHECK(judge(stack, catalog_of({golden}), kNow).status == VerdictStatus::kUnknown);
}
