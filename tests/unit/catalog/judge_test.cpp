// SPDX-License-Identifier: Apache-2.0
#include <catch2/catch.hpp>

#include "common/catalog/judge.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();
const WallTime kPast = kNow - std::chrono::hours(1);
const WallTime kFuture = kNow + std::chrono::hours(1);

// One letter per rung a layer's evidence has reached, written RUNG:WORD.
LayerEvidence evidence(const std::string& text) {
  const std::string rung = text.substr(0, text.find(':'));
  const std::string word = text.substr(text.find(':') + 1);
  LayerEvidence made;
  if (rung == "none") return made;
  if (rung == "failed") made.gap = "too many entries";
  if (rung == "claimed" || rung == "mutable") made.claimed = diff_id(word);
  made.is_mutable = rung == "mutable";
  if (rung == "display") made.claimed = diff_id(word);
  made.is_claim_for_display = rung == "display";
  if (rung == "shape" || rung == "content" || rung == "exact" || rung == "capped" ||
      rung == "stuck" || rung == "deleting")
    made.shape = shape(word);
  if (rung == "content" || rung == "exact" || rung == "capped" || rung == "remade" ||
      rung == "deleting")
    made.content = content(word);
  if (rung == "content" || rung == "exact") made.deletions = deletions("none");
  if (rung == "deleting") made.deletions = deletions("some");
  if (rung == "exact") made.exact = diff_id(word);
  made.is_capped_at_shape = rung == "capped";
  if (rung == "stuck") made.gap = "file beyond the limit";
  if (rung == "remade") made.shape = shape(word + " with other times");
  if (rung == "forged") {
    made.shape = shape(word);
    made.content = content(word + " with other bytes");
  }
  if (rung == "edited") {
    made.claimed = diff_id(word);
    made.shape = shape(word + " edited");
    made.content = content(word + " edited");
  }
  return made;
}

Stack stack_of(const std::vector<std::string>& layers) {
  Stack stack{"c", "n", {}, ""};
  for (const std::string& text : layers) {
    StackLayer layer = layer_with(evidence(text.starts_with("init:") ? "content:init" : text));
    layer.is_injected = text.starts_with("init:");
    stack.layers.push_back(std::move(layer));
  }
  return stack;
}

Base with(Base made, BaseStatus status, std::optional<WallTime> until = {},
          std::optional<WallTime> expires = {}) {
  made.status = status;
  made.deprecated_until = until;
  made.expires_at = expires;
  return made;
}

struct Row {
  const char* name;
  std::vector<Base> bases;
  std::vector<std::string> stack;
  VerdictStatus status;
  Rung rung;
  std::string names;  ///< the base that names the run
  std::size_t application_layers;
  std::size_t matches;
  std::size_t contradictions = 0;
};

const Base kDebian = base("debian:12", {"D"});
const Base kJava = base("java:17", {"D", "J"});
const Base kOld = base("debian:11", {"O"});
const Base kRevokedDebian = with(kDebian, BaseStatus::kRevoked);

std::vector<Row> rung_rows() {
  using S = VerdictStatus;
  return {
      {"the base itself, by content",
       {kDebian},
       {"content:D"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"own layers above the base are counted",
       {kDebian},
       {"content:D", "content:x", "shape:y"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       2,
       1},
      {"an injected layer is not compared and not counted",
       {kDebian},
       {"content:D", "content:x", "init:"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       1,
       1},
      {"an injected layer between base layers is skipped",
       {kJava},
       {"content:D", "init:", "content:J"},
       S::kApproved,
       Rung::kContent,
       "java:17",
       0,
       1},
      {"a proven tar stream",
       {kDebian},
       {"exact:D"},
       S::kApproved,
       Rung::kExact,
       "debian:12",
       0,
       1},
      {"the weakest layer gives the rung",
       {kJava},
       {"exact:D", "content:J"},
       S::kApproved,
       Rung::kContent,
       "java:17",
       0,
       1},
      {"shape alone is not enough for approval",
       {kDebian},
       {"shape:D"},
       S::kPending,
       Rung::kShape,
       "debian:12",
       0,
       1},
      {"a claim alone is not enough for approval",
       {kDebian},
       {"claimed:D"},
       S::kPending,
       Rung::kClaimed,
       "debian:12",
       0,
       1},
      {"one layer at shape holds the whole base back",
       {kJava},
       {"content:D", "shape:J"},
       S::kPending,
       Rung::kShape,
       "java:17",
       0,
       1},
      {"a claim of a store that others may write does not count",
       {with(kDebian, BaseStatus::kRevoked)},
       {"display:D"},
       S::kPending,
       Rung::kNone,
       "",
       0,
       0},
      {"a mutable layer's claim does not count",
       {kDebian},
       {"mutable:D"},
       S::kPending,
       Rung::kNone,
       "",
       0,
       0},
      {"equal content with other times is a match on content",
       {kDebian},
       {"remade:D"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"redirects cap equal content at shape",
       {kDebian},
       {"capped:D"},
       S::kPending,
       Rung::kShape,
       "debian:12",
       0,
       1},
      {"other deletions above the bottom fall to shape",
       {kJava},
       {"content:D", "deleting:J"},
       S::kPending,
       Rung::kShape,
       "java:17",
       0,
       1},
      {"other deletions at the bottom do not matter",
       {kDebian},
       {"deleting:D"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"same shape with other bytes is no match and a contradiction",
       {kDebian},
       {"forged:D"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0,
       1},
      {"a claim that the content refutes is a contradiction",
       {kDebian},
       {"edited:D"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0,
       1},
      {"a contradiction in an upper layer leaves the shorter base",
       {kDebian, kJava},
       {"content:D", "forged:J"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       1,
       1,
       1},
  };
}

std::vector<Row> life_rows() {
  using S = VerdictStatus;
  return {
      {"the longest base names the run, all are reported",
       {kDebian, kJava},
       {"content:D", "content:J", "content:x"},
       S::kApproved,
       Rung::kContent,
       "java:17",
       1,
       2},
      {"two bases with the same layers are both reported",
       {kDebian, base("golden/debian:12", {"D"})},
       {"content:D"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       0,
       2},
      {"approved names the run before deprecated with the same layers",
       {with(kDebian, BaseStatus::kDeprecated), base("golden/debian:12", {"D"})},
       {"content:D"},
       S::kApproved,
       Rung::kContent,
       "golden/debian:12",
       0,
       2},
      {"a revoked base below an approved one wins",
       {kRevokedDebian, kJava},
       {"content:D", "content:J"},
       S::kRevoked,
       Rung::kContent,
       "java:17",
       0,
       2},
      {"an expired base below an approved one wins",
       {with(kDebian, BaseStatus::kApproved, {}, kPast), kJava},
       {"content:D", "content:J"},
       S::kExpired,
       Rung::kContent,
       "java:17",
       0,
       2},
      {"revoked wins over expired",
       {kRevokedDebian, with(kJava, BaseStatus::kApproved, {}, kPast)},
       {"content:D", "content:J"},
       S::kRevoked,
       Rung::kContent,
       "java:17",
       0,
       2},
      {"revoked counts on a claim",
       {kRevokedDebian},
       {"claimed:D"},
       S::kRevoked,
       Rung::kClaimed,
       "debian:12",
       0,
       1},
      {"revoked counts on shape",
       {kRevokedDebian},
       {"shape:D"},
       S::kRevoked,
       Rung::kShape,
       "debian:12",
       0,
       1},
      {"expired counts on shape",
       {with(kDebian, BaseStatus::kApproved, {}, kPast)},
       {"shape:D"},
       S::kExpired,
       Rung::kShape,
       "debian:12",
       0,
       1},
      {"an expiry to come changes nothing",
       {with(kDebian, BaseStatus::kApproved, {}, kFuture)},
       {"content:D"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"a base expires at the very moment of its date",
       {with(kDebian, BaseStatus::kApproved, {}, kNow)},
       {"content:D"},
       S::kExpired,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"deprecated without a date",
       {with(kDebian, BaseStatus::kDeprecated)},
       {"content:D"},
       S::kDeprecated,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"deprecated until later",
       {with(kDebian, BaseStatus::kDeprecated, kFuture)},
       {"content:D"},
       S::kDeprecated,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"deprecated past its date is expired",
       {with(kDebian, BaseStatus::kDeprecated, kPast)},
       {"content:D"},
       S::kExpired,
       Rung::kContent,
       "debian:12",
       0,
       1},
      {"deprecated below an approved base leaves it approved",
       {with(kDebian, BaseStatus::kDeprecated), kJava},
       {"content:D", "content:J"},
       S::kApproved,
       Rung::kContent,
       "java:17",
       0,
       2},
      {"a draft matches nothing",
       {with(kDebian, BaseStatus::kDraft)},
       {"content:D"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0},
      {"a revoked base copied into a layer above is found",
       {kDebian, with(kOld, BaseStatus::kRevoked)},
       {"content:D", "content:x", "remade:O"},
       S::kRevoked,
       Rung::kContent,
       "debian:12",
       2,
       2},
      {"a revoked base above unknown layers is found, and names nothing",
       {with(kOld, BaseStatus::kRevoked)},
       {"content:x", "content:O"},
       S::kRevoked,
       Rung::kNone,
       "",
       0,
       1},
      {"a deprecated base above is reported and leaves the verdict",
       {kDebian, with(kOld, BaseStatus::kDeprecated)},
       {"content:D", "content:O"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       1,
       2},
      {"an approved base above the base is no news",
       {kDebian, kOld},
       {"content:D", "content:O"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       1,
       1},
      {"only part of a revoked base above is no match",
       {kDebian, with(base("old:1", {"O", "P"}), BaseStatus::kRevoked)},
       {"content:D", "content:O"},
       S::kApproved,
       Rung::kContent,
       "debian:12",
       1,
       1},
  };
}

std::vector<Row> unmatched_rows() {
  using S = VerdictStatus;
  return {
      {"nothing known yet is pending", {kDebian}, {"none:"}, S::kPending, Rung::kNone, "", 0, 0},
      {"one shape still to come is pending",
       {kDebian},
       {"shape:x", "none:"},
       S::kPending,
       Rung::kNone,
       "",
       0,
       0},
      {"all shapes known and none matches is unknown",
       {kDebian},
       {"shape:x", "shape:y"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0},
      {"a base on top of something else is unknown",
       {kDebian},
       {"content:x", "content:D"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0},
      {"the first half of a base is unknown",
       {kJava},
       {"content:D"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0},
      {"layers that cannot be read are unknown, not pending",
       {kDebian},
       {"failed:", "failed:"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0},
      {"an empty stack is unknown", {kDebian}, {}, S::kUnknown, Rung::kNone, "", 0, 0},
      {"an empty catalog knows nothing", {}, {"content:D"}, S::kUnknown, Rung::kNone, "", 0, 0},
      {"only an injected layer is unknown",
       {kDebian},
       {"init:"},
       S::kUnknown,
       Rung::kNone,
       "",
       0,
       0},
  };
}

void check(const Row& row) {
  INFO(row.name);
  const Verdict verdict = judge(stack_of(row.stack), catalog_of(row.bases), kNow);
  INFO(verdict.reason);
  CHECK(to_string(verdict.status) == to_string(row.status));
  CHECK(to_string(verdict.rung) == to_string(row.rung));
  CHECK(verdict.base_name() == row.names);
  CHECK(verdict.application_layers == row.application_layers);
  CHECK(verdict.matches.size() == row.matches);
  CHECK(verdict.contradictions.size() == row.contradictions);
  CHECK_FALSE(verdict.reason.empty());
  CHECK(verdict.catalog_sequence == 7);
}

}  // namespace

TEST_CASE("the rung of the evidence decides what counts", "[catalog][unit]") {
  for (const Row& row : rung_rows())
    check(row);
}

TEST_CASE("the life of every base below decides the verdict", "[catalog][unit]") {
  for (const Row& row : life_rows())
    check(row);
}

TEST_CASE("what matches nothing is pending or unknown", "[catalog][unit]") {
  for (const Row& row : unmatched_rows())
    check(row);
}

TEST_CASE("an unknown stack is told with its number of layers", "[catalog][unit]") {
  const auto reason = [](const std::vector<std::string>& layers) {
    return judge(stack_of(layers), catalog_of({kDebian}), kNow).reason;
  };
  CHECK(reason({"shape:x"}) == "no base of the catalog is at the bottom of this stack (1 layer)");
  CHECK(reason({"shape:x", "shape:y"}) ==
        "no base of the catalog is at the bottom of this stack (2 layers)");
}

TEST_CASE("a root that is no stack of layers is unknown with its reason", "[catalog][unit]") {
  Stack stack = stack_of({});
  stack.unsupported = "a FUSE file\x1b[31m system";
  const Verdict verdict = judge(stack, catalog_of({kDebian}), kNow);
  CHECK(verdict.status == VerdictStatus::kUnknown);
  CHECK_THAT(verdict.reason, Catch::Contains("a FUSE file\\x1b[31m system"));
}

TEST_CASE("layers below processes that nobody can look at bring bad news only", "[catalog][unit]") {
  const auto judged = [](BaseStatus status, const char* layer) {
    Base base = kDebian;
    base.status = status;
    Stack stack = stack_of({layer, "content:app"});
    stack.unsupported = "its processes run in gVisor";
    return judge(stack, catalog_of({base}), kNow);
  };
  for (const char* layer : {"exact:D", "content:D", "shape:D"}) {
    const Verdict verdict = judged(BaseStatus::kApproved, layer);
    CHECK(verdict.status == VerdictStatus::kUnknown);
    CHECK(verdict.base_name() == "debian:12");
    CHECK_THAT(verdict.reason, Catch::Contains("gVisor"));
  }
  CHECK(judged(BaseStatus::kDeprecated, "content:D").status == VerdictStatus::kUnknown);
  CHECK(judged(BaseStatus::kRevoked, "content:D").status == VerdictStatus::kRevoked);
}

TEST_CASE("the policy's rung decides where approval begins", "[catalog][unit]") {
  const auto status = [](Rung required, const char* layer) {
    const Catalog catalog = catalog_of({kDebian}, Policy{required, std::chrono::minutes(5)});
    return judge(stack_of({layer}), catalog, kNow).status;
  };
  CHECK(status(Rung::kShape, "shape:D") == VerdictStatus::kApproved);
  CHECK(status(Rung::kShape, "claimed:D") == VerdictStatus::kPending);
  CHECK(status(Rung::kClaimed, "claimed:D") == VerdictStatus::kPending);  // never by a claim
  CHECK(status(Rung::kExact, "content:D") == VerdictStatus::kPending);
  CHECK(status(Rung::kExact, "exact:D") == VerdictStatus::kApproved);
}

TEST_CASE("bytes that prove one version explain the look of another", "[catalog][unit]") {
  // Two reproducible builds: same shape, other bytes. Running the second contradicts nothing.
  Base second = base("debian:12.1", {"D"});
  second.stacks[0].layers[0].content = content("D with other bytes");
  second.stacks[0].layers[0].diff_id = diff_id("D2");
  const Verdict verdict = judge(stack_of({"forged:D"}), catalog_of({kDebian, second}), kNow);
  CHECK(verdict.base_name() == "debian:12.1");
  CHECK(verdict.status == VerdictStatus::kApproved);
  CHECK(verdict.contradictions.empty());
}

TEST_CASE("a base with stacks for several platforms is reported once", "[catalog][unit]") {
  Base both = kDebian;
  both.stacks.push_back(base("x:1", {"D", "E"}).stacks[0]);
  const Verdict verdict = judge(stack_of({"content:D", "content:E"}), catalog_of({both}), kNow);
  REQUIRE(verdict.matches.size() == 1);
  CHECK(verdict.matches[0].layers == 2);
  CHECK(verdict.application_layers == 0);
}

TEST_CASE("reasons name base, rung, date and what to use", "[catalog][unit]") {
  Base old = with(kDebian, BaseStatus::kDeprecated, kFuture);
  old.reason = "end of\nlife";
  old.successor = "debian:13";
  const auto reason = [&](const char* layer) {
    return judge(stack_of({layer}), catalog_of({old}), kNow).reason;
  };
  CHECK(reason("content:D") ==
        "base debian:12 is deprecated until 2026-06-01T01:00:00Z (recognised by content): "
        "end of\\x0alife; use debian:13");
  CHECK(judge(stack_of({"stuck:D"}), catalog_of({kDebian}), kNow).reason ==
        "looks like base debian:12 by shape, content is required: layer 1: file beyond the limit");
}

TEST_CASE("a match above the base says where it begins", "[catalog][unit]") {
  const Verdict verdict = judge(stack_of({"content:D", "init:", "content:x", "content:O"}),
                                catalog_of({kDebian, with(kOld, BaseStatus::kRevoked)}), kNow);
  REQUIRE(verdict.matches.size() == 2);
  CHECK(verdict.matches[0].first_layer == 0);
  CHECK(verdict.matches[1].base.text() == "debian:11");
  CHECK(verdict.matches[1].first_layer == 2);
}
