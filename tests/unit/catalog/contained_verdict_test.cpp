// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/contained_verdict.h"

#include <catch2/catch.hpp>

#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();

Base with_status(Base made, BaseStatus status) {
  made.status = status;
  return made;
}

StackLayer known_layer(const std::string& word) {
  LayerEvidence evidence;
  evidence.shape = shape(word);
  evidence.content = content(word);
  evidence.deletions = deletions("none");
  return layer_with(evidence);
}

Stack stack_of(const std::vector<std::string>& words) {
  Stack stack{"c", "n", {}, ""};
  for (const std::string& word : words)
    stack.layers.push_back(known_layer(word));
  return stack;
}

Containment contained(const std::vector<std::string>& bases) {
  Containment found;
  found.files = 100;
  found.why = "nothing";
  for (const std::string& text : bases) {
    ContainedBase base;
    base.base = id_of(text);
    base.is_contained = true;
    base.why = "all of " + text;
    found.contained.push_back(base);
  }
  if (!bases.empty()) found.why = found.contained.front().why;
  return found;
}

// What becomes of a stack when these bases are in its files.
Verdict judged(const Stack& stack, const std::vector<Base>& bases,
               const std::vector<std::string>& found) {
  const Catalog catalog = catalog_of(bases);
  Verdict verdict = judge(stack, catalog, kNow);
  add_containment(verdict, contained(found), catalog, kNow);
  return verdict;
}

std::vector<FindingKind> kinds(const Verdict& verdict, const Stack& stack) {
  std::vector<FindingKind> found;
  for (const FindingCause& cause : causes_of(verdict, stack, false))
    found.push_back(cause.kind);
  return found;
}

const Base kDebian = base("debian:12", {"D"});
const Base kOther = base("other:1", {"O"});
using Kinds = std::vector<FindingKind>;

}  // namespace

TEST_CASE("an approved base in the files names the run and approves nothing", "[catalog][unit]") {
  const Stack flat = stack_of({"flat"});
  const Verdict verdict = judged(flat, {kDebian}, {"debian:12"});
  CHECK(verdict.status == VerdictStatus::kUnknown);
  CHECK(verdict.rung == Rung::kContained);
  CHECK(verdict.base_name() == "debian:12");
  CHECK_THAT(verdict.reason, Catch::Matchers::Contains("all of debian:12"));
  CHECK(kinds(verdict, flat) == Kinds{FindingKind::kUnknownBase});
}

TEST_CASE("a revoked base in the files is bad news", "[catalog][unit]") {
  const Stack flat = stack_of({"flat"});
  const Verdict verdict =
      judged(flat, {with_status(kDebian, BaseStatus::kRevoked), kOther}, {"other:1", "debian:12"});
  CHECK(verdict.status == VerdictStatus::kRevoked);
  CHECK(verdict.base_name() == "other:1");
  CHECK_THAT(verdict.reason, Catch::Matchers::Contains("recognised by contained") &&
                                 Catch::Matchers::Contains("all of debian:12"));
  CHECK(kinds(verdict, flat) == Kinds{FindingKind::kRevokedBase});
}

TEST_CASE("an expired base counts, a deprecated one softens nothing", "[catalog][unit]") {
  const Stack flat = stack_of({"flat"});
  Base expired = kDebian;
  expired.expires_at = kNow;
  CHECK(judged(flat, {expired}, {"debian:12"}).status == VerdictStatus::kExpired);
  const Verdict deprecated =
      judged(flat, {with_status(kDebian, BaseStatus::kDeprecated)}, {"debian:12"});
  CHECK(deprecated.status == VerdictStatus::kUnknown);
  CHECK(kinds(deprecated, flat) == Kinds{FindingKind::kDeprecatedBase, FindingKind::kUnknownBase});
}

TEST_CASE("a revoked base copied over an approved one is found", "[catalog][unit]") {
  const Stack stack = stack_of({"D", "copy"});
  const Base revoked = with_status(kOther, BaseStatus::kRevoked);
  const Verdict verdict = judged(stack, {kDebian, revoked}, {"debian:12", "other:1"});
  CHECK(verdict.status == VerdictStatus::kRevoked);
  CHECK(verdict.rung == Rung::kContent);
  CHECK(verdict.base_name() == "debian:12");
  REQUIRE(verdict.matches.size() == 2);
  CHECK(verdict.matches[1].first_layer == 1);
  CHECK(verdict.matches[1].rung == Rung::kContained);
  CHECK(kinds(verdict, stack) == Kinds{FindingKind::kRevokedBase});
  // What is approved above the base is nobody's news.
  const Verdict good = judged(stack, {kDebian, kOther}, {"debian:12", "other:1"});
  CHECK(good.status == VerdictStatus::kApproved);
  CHECK(good.matches.size() == 1);
}

TEST_CASE("what was found by layers stays as it is", "[catalog][unit]") {
  const Stack stack = stack_of({"D", "app"});
  const Base revoked = with_status(kDebian, BaseStatus::kRevoked);
  const Verdict verdict = judged(stack, {revoked}, {"debian:12"});
  CHECK(verdict == judge(stack, catalog_of({revoked}), kNow));
  CHECK(judged(stack, {kDebian}, {"gone:1"}).matches.size() == 1);  // no base of this catalog
}

TEST_CASE("file sets are wanted where no base explains all layers", "[catalog][unit]") {
  const auto wanted = [](const Stack& stack) {
    return wanted_file_set(judge(stack, catalog_of({kDebian}), kNow), stack);
  };
  CHECK(wanted(stack_of({"flat"})) == 0U);
  CHECK_FALSE(wanted(stack_of({"D"})));
  CHECK(wanted(stack_of({"D", "app"})) == 1U);
  Stack with_init = stack_of({"D", "init"});
  with_init.layers.back().is_injected = true;
  CHECK_FALSE(wanted(with_init));
  Stack unread = stack_of({"flat", "next"});
  unread.layers.back().evidence.content.reset();
  CHECK_FALSE(wanted(unread));
  CHECK_FALSE(wanted({"c", "n", {}, "no layers"}));
  CHECK_FALSE(wanted({"c", "n", {}, ""}));
}

TEST_CASE("layers above a base are looked at over it", "[catalog][unit]") {
  const auto files = std::make_shared<const FileSet>(std::vector<FileSetEntry>{{1, 1}, {2, 2}});
  const FileSetIndex index({{kDebian.id, "", files}});
  const FileSet above({{2, 9}});
  const Catalog catalog = catalog_of({kDebian});
  CHECK(with_base_below(above, judge(stack_of({"D", "app"}), catalog, kNow), index) ==
        FileSet({{1, 1}, {2, 9}}));
  CHECK(with_base_below(above, judge(stack_of({"flat"}), catalog, kNow), index) == above);
}
