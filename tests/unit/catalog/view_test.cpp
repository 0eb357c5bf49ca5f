// SPDX-License-Identifier: Apache-2.0
// What is guarded, when there is something to look at, and what a view does to a verdict.
#include "common/catalog/view.h"

#include <catch2/catch.hpp>

#include "common/catalog/judge.h"
#include "tests/unit/catalog/make.h"

using namespace assay;
using namespace assay::catalog;
using namespace assay::tests;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();

Stack stack_of(const std::vector<std::string>& words) {
  Stack stack{"c", "n", {}, ""};
  for (const std::string& word : words) {
    LayerEvidence evidence;
    evidence.shape = shape(word);
    evidence.content = content(word);
    evidence.deletions = deletions("none");
    stack.layers.push_back(layer_with(std::move(evidence)));
  }
  return stack;
}

const Catalog kCatalog = catalog_of({base("debian:12", {"D"}), base("java:17", {"D", "J"})});

}  // namespace

TEST_CASE("programs and what they are linked by are guarded", "[catalog][unit]") {
  for (const char* path :
       {"bin/sh", "bin", "sbin/init", "lib/x", "lib64/ld-linux-x86-64.so.2", "usr",
        "usr/share/doc/x", "etc/ld.so.cache", "etc/ld.so.conf.d/x.conf"}) {
    INFO(path);
    CHECK(is_guarded_path(path));
  }
  for (const char* path :
       {"etc/passwd", "var/lib/dpkg/status", "binaries/x", "home/usr", "etc", "opt/lib"}) {
    INFO(path);
    CHECK_FALSE(is_guarded_path(path));
  }
}

TEST_CASE("what runtimes put into every container does not count", "[catalog][unit]") {
  for (const char* path : {"etc/hosts", "etc/resolv.conf", "proc", "proc/1", "dev/null",
                           ".dockerenv", "run/secrets/x", "run/.containerenv"})
    CHECK(is_runtime_path(path));
  for (const char* path : {"etc/hosts.allow", "process", "device", "runner", "etc"})
    CHECK_FALSE(is_runtime_path(path));
}

TEST_CASE("only folders of the system itself must be closed", "[catalog][unit]") {
  for (const char* path : {"", "etc", "usr", "usr/bin", "lib", "lib64", "usr/lib", "usr/lib32",
                           "usr/lib/x86_64-linux-gnu", "etc/ld.so.conf.d"})
    CHECK(is_guarded_folder(path));
  for (const char* path :
       {"usr/local", "usr/lib/python3", "tmp", "library", "usr/lib/x86_64-linux-gnu/x"})
    CHECK_FALSE(is_guarded_folder(path));
}

TEST_CASE("there is something to look at once all bytes of the base are known", "[catalog][unit]") {
  CHECK(plan_view(stack_of({"x"}), kCatalog).layers == 0);
  Stack stack = stack_of({"D", "J", "own"});
  CHECK(plan_view(stack, kCatalog) == ViewPlan{2, {true, true}, false});
  stack.layers[2].evidence.content.reset();
  CHECK(plan_view(stack, kCatalog).layers == 2);
  stack.layers[1].evidence.content.reset();
  CHECK(plan_view(stack, kCatalog).layers == 0);
}

TEST_CASE("deletions that cannot be compared hold approval back until the view agrees",
          "[catalog][unit]") {
  Stack stack = stack_of({"D", "J"});
  SECTION("they could not be seen") {
    stack.layers[1].evidence.deletions.reset();
  }
  SECTION("they are others") {
    stack.layers[1].evidence.deletions = deletions("some");
  }
  SECTION("redirects hide what is seen") {
    stack.layers[1].evidence.is_capped_at_shape = true;
  }
  const ViewPlan plan = plan_view(stack, kCatalog);
  CHECK(plan.layers == 2);
  CHECK(plan.is_lift_wanted);
  const Verdict before = judge(stack, kCatalog, kNow);
  CHECK(before.status == VerdictStatus::kPending);
  CHECK(before.rung == Rung::kShape);
  CHECK(before.reason.find("merged view") != std::string::npos);
  stack.seen_layers = 1;  // not all of them
  CHECK(judge(stack, kCatalog, kNow).status == VerdictStatus::kPending);
  stack.seen_layers = 2;
  const Verdict after = judge(stack, kCatalog, kNow);
  CHECK(after.status == VerdictStatus::kApproved);
  CHECK(after.rung == Rung::kContent);
}

TEST_CASE("a view that agrees makes no other bytes right", "[catalog][unit]") {
  Stack stack = stack_of({"D", "J"});
  stack.layers[1].evidence.content = content("J with other bytes");
  stack.layers[1].evidence.is_capped_at_shape = true;
  CHECK(judge(stack, kCatalog, kNow).naming()->base.text() == "java:17");
  stack.seen_layers = 2;
  const Verdict verdict = judge(stack, kCatalog, kNow);
  CHECK(verdict.naming()->base.text() == "debian:12");
  CHECK(verdict.contradictions.size() == 1);
}

TEST_CASE("no approval stands on a base that its container hides", "[catalog][unit]") {
  Stack stack = stack_of({"D"});
  stack.is_masked = true;
  const Verdict verdict = judge(stack, kCatalog, kNow);
  CHECK(verdict.status == VerdictStatus::kPending);
  CHECK(verdict.base_name() == "debian:12");
  CHECK(causes_of(verdict, stack, true).empty());  // the finding is the run's own
  View view;
  CHECK(causes_of_masking(masked_reason(view), verdict).empty());
  view.state = ViewState::kDiffers;
  view.masked = 3;
  view.masked_paths = {"/usr/lib/libc.so.6 (edited in the container)"};
  const auto causes = causes_of_masking(masked_reason(view), verdict);
  REQUIRE(causes.size() == 1);
  CHECK(causes[0].kind == FindingKind::kMaskedBase);
  CHECK(causes[0].subject == "debian:12");
  CHECK(causes[0].reason ==
        "3 paths of the base are not what the container sees: /usr/lib/libc.so.6 (edited in the "
        "container); and 2 more");
  CHECK(causes_of_masking("something", Verdict{}).empty());  // no base, nothing that is masked
}
