// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "common/catalog/judge.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();

LayerEvidence full(const std::string& word) {
  LayerEvidence made;
  made.shape = shape(word);
  made.content = content(word);
  made.deletions = deletions("none");
  return made;
}

LayerEvidence shape_only(const std::string& word, const std::string& gap = "") {
  LayerEvidence made;
  made.shape = shape(word);
  made.gap = gap;
  return made;
}

LayerEvidence forged(const std::string& word) {
  LayerEvidence made = shape_only(word);
  made.content = content("other bytes");
  return made;
}

Base with_status(Base made, BaseStatus status, std::optional<WallTime> expires_at = {}) {
  made.status = status;
  made.expires_at = expires_at;
  return made;
}

/// "KIND SUBJECT" of every cause, in order.
std::vector<std::string> causes(const std::vector<Base>& bases,
                                const std::vector<LayerEvidence>& layers, bool is_overdue = false) {
  Stack stack;
  for (const LayerEvidence& evidence : layers)
    stack.layers.push_back(layer_with(evidence));
  const Verdict verdict = judge(stack, catalog_of(bases), kNow);
  std::vector<std::string> texts;
  for (const FindingCause& cause : causes_of(verdict, stack, is_overdue)) {
    CHECK_FALSE(cause.reason.empty());
    texts.push_back(std::string(to_string(cause.kind)) + " " + cause.subject);
  }
  return texts;
}

using Texts = std::vector<std::string>;
const Base kDebian = base("debian:12", {"D"});
const Base kJava = base("java:17", {"D", "J"});

}  // namespace

TEST_CASE("each verdict calls for its findings", "[catalog][unit]") {
  CHECK(causes({kDebian}, {full("D")}).empty());
  CHECK(causes({kDebian}, {full("x")}) == Texts{"unknown-base "});
  CHECK(causes({with_status(kDebian, BaseStatus::kDeprecated)}, {full("D")}) ==
        Texts{"deprecated-base debian:12"});
  CHECK(causes({with_status(kDebian, BaseStatus::kApproved, kNow)}, {full("D")}) ==
        Texts{"expired-base debian:12"});
  CHECK(causes({with_status(kDebian, BaseStatus::kRevoked)}, {shape_only("D")}) ==
        Texts{"revoked-base debian:12"});
}

TEST_CASE("every revoked base has a finding of its own", "[catalog][unit]") {
  CHECK(
      causes({with_status(kDebian, BaseStatus::kRevoked), with_status(kJava, BaseStatus::kRevoked)},
             {full("D"), full("J")}) == Texts{"revoked-base java:17", "revoked-base debian:12"});
}

TEST_CASE("a base that lies twice in the layers above has one finding", "[catalog][unit]") {
  const Base old = with_status(base("debian:11", {"O"}), BaseStatus::kRevoked);
  CHECK(causes({kDebian, old}, {full("D"), full("O"), full("O")}) ==
        Texts{"revoked-base debian:11"});
}

TEST_CASE("a deprecated base counts where it names the run or lies above", "[catalog][unit]") {
  const Base deprecated = with_status(kDebian, BaseStatus::kDeprecated);
  CHECK(causes({deprecated, kJava}, {full("D"), full("J")}).empty());
  const Base old = with_status(base("debian:11", {"O"}), BaseStatus::kDeprecated);
  CHECK(causes({kDebian, old}, {full("D"), full("O")}) == Texts{"deprecated-base debian:11"});
}

TEST_CASE("pending becomes unverified when it is overdue or hopeless", "[catalog][unit]") {
  CHECK(causes({kDebian}, {shape_only("D")}).empty());
  CHECK(causes({kDebian}, {shape_only("D")}, true) == Texts{"unverified debian:12"});
  CHECK(causes({kDebian}, {shape_only("D", "file beyond the limit")}) ==
        Texts{"unverified debian:12"});
  CHECK(causes({kDebian}, {LayerEvidence{}}).empty());
  CHECK(causes({kDebian}, {LayerEvidence{}}, true) == Texts{"unverified "});
  CHECK(causes({kDebian}, {full("D")}, true).empty());
}

TEST_CASE("a layer above the base that is never read holds nothing back and is told, once",
          "[catalog][unit]") {
  LayerEvidence failed;
  failed.gap = "gone";
  const LayerEvidence awaited;
  CHECK(causes({kDebian}, {full("D"), failed, failed}) == Texts{"unverified layer 2"});
  CHECK(causes({kDebian}, {full("D"), shape_only("x", "too large")}) ==
        Texts{"unverified layer 2"});
  CHECK(causes({kDebian}, {shape_only("D"), shape_only("x", "too large")}) ==
        Texts{"unverified layer 2"});
  CHECK(causes({kDebian}, {full("D"), awaited}).empty());
  CHECK(causes({with_status(kDebian, BaseStatus::kDeprecated)}, {full("D"), failed}) ==
        Texts{"deprecated-base debian:12", "unverified layer 2"});
}

TEST_CASE("each contradiction is a mismatch of its own", "[catalog][unit]") {
  CHECK(causes({kDebian}, {forged("D")}) ==
        Texts{"mismatch layer 1 against debian:12", "unknown-base "});
  CHECK(causes({kDebian, kJava}, {full("D"), forged("J")}) ==
        Texts{"mismatch layer 2 against java:17"});
}

TEST_CASE("conflicts of claims are one mismatch per subject", "[catalog][unit]") {
  CHECK(causes_of_conflicts({}).empty());
  const auto found = causes_of_conflicts(
      {"docker's record: 2 layers", "layers.json: twice", "docker's record: other \x1b order"});
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == FindingKind::kMismatch);
  CHECK(found[0].subject == "docker's record");
  CHECK(found[0].reason == "docker's record: 2 layers; docker's record: other \\x1b order");
  CHECK(found[1].subject == "layers.json");
}

TEST_CASE("a claim that the bytes belie is a mismatch that says so", "[catalog][unit]") {
  LayerEvidence edited = full("edited");
  edited.claimed = diff_id("D");
  Stack stack;
  stack.layers.push_back(layer_with(edited));
  const Verdict verdict = judge(stack, catalog_of({kDebian}), kNow);
  const auto found = causes_of(verdict, stack, false);
  REQUIRE(found.size() == 2);
  CHECK(found[0].kind == FindingKind::kMismatch);
  CHECK(found[0].reason ==
        "layer 1 against debian:12: its runtime's store says that it is the same, but its bytes "
        "are others");
  CHECK(found[1].kind == FindingKind::kUnknownBase);
}

TEST_CASE("what cannot be read is an unsupported root and not an unknown base", "[catalog][unit]") {
  LayerEvidence failed;
  failed.gap = "too deep";
  CHECK(causes({kDebian}, {failed}) == Texts{"unsupported-root "});
  CHECK(causes({kDebian}, {}) == Texts{"unsupported-root "});
  CHECK(causes({kDebian}, {full("x"), failed}) == Texts{"unknown-base "});

  Stack stack;
  stack.unsupported = "fuse";
  const Verdict verdict = judge(stack, catalog_of({kDebian}), kNow);
  const auto found = causes_of(verdict, stack, false);
  REQUIRE(found.size() == 1);
  CHECK(found[0].kind == FindingKind::kUnsupportedRoot);
  CHECK_THAT(found[0].reason, Catch::Contains("fuse"));
}

TEST_CASE("a layer that was changed is tampered with, whatever the verdict", "[catalog][unit]") {
  LayerEvidence changed = full("D");
  changed.tampered = "/bin/ls (content)";
  CHECK(causes({kDebian}, {changed}) == Texts{"tampered layer 1"});
  CHECK(causes({kDebian}, {changed}, /*is_overdue=*/true) == Texts{"tampered layer 1"});
  LayerEvidence app = full("app");
  app.tampered = "/app (added)";
  CHECK(causes({kDebian}, {full("D"), app}) == Texts{"tampered layer 2"});
  CHECK(causes({}, {changed, app}) ==
        Texts{"unknown-base ", "tampered layer 1", "tampered layer 2"});
  CHECK(causes({with_status(kDebian, BaseStatus::kRevoked)}, {changed}) ==
        Texts{"revoked-base debian:12", "tampered layer 1"});
}

TEST_CASE("no approval stands on a layer that was changed", "[catalog][unit]") {
  for (const bool is_injected : {false, true}) {
    Stack stack;
    stack.layers = {layer_with(full("D")), layer_with(full("init"))};
    stack.layers[1].is_injected = is_injected;
    CHECK(judge(stack, catalog_of({kDebian}), kNow).status == VerdictStatus::kApproved);
    stack.layers[1].evidence.tampered = "/bin/sh (added)";
    const Verdict verdict = judge(stack, catalog_of({kDebian}), kNow);
    CHECK(verdict.status == VerdictStatus::kPending);
    CHECK(verdict.base_name() == "debian:12");
    CHECK(verdict.reason ==
          "layer 2 was changed on its node after it was first read: /bin/sh (added)");
  }
}

TEST_CASE("finding kinds are read as they are written", "[catalog][unit]") {
  for (int i = 0; i <= static_cast<int>(FindingKind::kCatalogRefused); ++i) {
    const auto kind = static_cast<FindingKind>(i);
    CHECK(parse_finding_kind(to_string(kind)).value() == kind);
  }
  CHECK_FALSE(parse_finding_kind("revoked"));
  for (int i = 0; i <= static_cast<int>(VerdictStatus::kPending); ++i) {
    const auto status = static_cast<VerdictStatus>(i);
    CHECK(parse_verdict_status(to_string(status)).value() == status);
  }
  CHECK_FALSE(parse_verdict_status(""));
}
