// SPDX-License-Identifier: Apache-2.0
// The policy's rules on approvals, its rungs and its exemptions.
#include <catch2/catch.hpp>

#include "common/catalog/contained_verdict.h"
#include "common/catalog/exemption.h"
#include "common/catalog/judge.h"
#include "common/catalog/policy_text.h"
#include "common/catalog/standing.h"
#include "tests/unit/catalog/make.h"

namespace assay::catalog {
namespace {

using namespace assay::tests;
using std::chrono::days;

const WallTime kBuilt = parse_rfc3339("2026-01-01T00:00:00Z").value();
const WallTime kApproved = parse_rfc3339("2026-01-10T00:00:00Z").value();

Base debian() {
  Base made = base("debian:12", {"root"});
  made.approved_at = kApproved;
  made.built_at = kBuilt;
  return made;
}

LayerEvidence evidence_of(const std::string& word, Rung rung) {
  LayerEvidence evidence;
  if (rung == Rung::kClaimed) evidence.claimed = diff_id(word);
  if (rung >= Rung::kShape) evidence.shape = shape(word);
  if (rung >= Rung::kContent) evidence.content = content(word);
  evidence.deletions = deletions("none");
  return evidence;
}

Stack stack_on(Rung rung) {
  Stack stack;
  stack.layers = {layer_with(evidence_of("root", rung)),
                  layer_with(evidence_of("app", Rung::kContent))};
  return stack;
}

ScanSummaries scanned(WallTime at, const SeverityCounts& counts) {
  return {{id_of("debian:12"), {"trivy", at, counts}}};
}

TEST_CASE("an approval ends so long after the base was built", "[catalog][unit]") {
  Policy policy;
  policy.since_build = days(90);
  const Catalog catalog = catalog_of({debian()}, policy);
  const WallTime end = kBuilt + days(90);
  const Stack stack = stack_on(Rung::kContent);
  CHECK(judge(stack, catalog, end - std::chrono::nanoseconds(1)).status ==
        VerdictStatus::kApproved);
  const Verdict verdict = judge(stack, catalog, end);
  CHECK(verdict.status == VerdictStatus::kExpired);
  CHECK(verdict.matches.front().status == VerdictStatus::kExpired);
  CHECK_THAT(verdict.reason, Catch::Matchers::Contains("it was built on 2026-01-01T00:00:00Z") &&
                                 Catch::Matchers::Contains("90 days"));
  CHECK(catalog.next_change_after(kBuilt) == end);
  CHECK(catalog.next_change_after(end) == std::nullopt);
  CHECK(causes_of(verdict, stack, false).front().kind == FindingKind::kExpiredBase);
}

TEST_CASE("of a base whose build is not known the approval counts", "[catalog][unit]") {
  Base made = debian();
  made.built_at = std::nullopt;
  Policy policy;
  policy.since_build = days(90);
  CHECK(standing_of(made, policy, nullptr, kApproved + days(89)).status ==
        VerdictStatus::kApproved);
  const Standing after = standing_of(made, policy, nullptr, kApproved + days(90));
  CHECK(after.status == VerdictStatus::kExpired);
  CHECK_THAT(after.why, Catch::Matchers::Contains("not known when it was built"));
}

TEST_CASE("rules end approvals and touch no other status", "[catalog][unit]") {
  Policy policy;
  policy.since_build = days(1);
  policy.requires_scan = true;
  const ScanSummaries none;
  Base made = debian();
  made.status = BaseStatus::kRevoked;
  CHECK(standing_of(made, policy, &none, kApproved).status == VerdictStatus::kRevoked);
  made.status = BaseStatus::kDraft;
  CHECK(standing_of(made, policy, &none, kApproved).status == VerdictStatus::kUnknown);
  made.status = BaseStatus::kDeprecated;
  CHECK(standing_of(made, policy, &none, kApproved + days(9)).status == VerdictStatus::kDeprecated);
}

TEST_CASE("scans are judged where they are known, and only there", "[catalog][unit]") {
  Policy policy;
  policy.severity_limits.critical = 0;
  policy.severity_limits.high = 5;
  const Base made = debian();
  const auto status = [&](const ScanSummaries* scans) {
    return standing_of(made, policy, scans, kApproved);
  };
  const ScanSummaries none;
  const auto clean = scanned(kApproved, {.high = 5});
  const auto bad = scanned(kApproved, {.high = 6, .critical = 2});
  CHECK(status(nullptr).status == VerdictStatus::kApproved);
  CHECK(status(&none).status == VerdictStatus::kApproved);
  CHECK(status(&clean).status == VerdictStatus::kApproved);
  const Standing refused = status(&bad);
  CHECK(refused.status == VerdictStatus::kExpired);
  CHECK_THAT(refused.why, Catch::Matchers::Contains("trivy") &&
                              Catch::Matchers::Contains("2 CRITICAL (at most 0)") &&
                              Catch::Matchers::Contains("6 HIGH (at most 5)"));
  policy.requires_scan = true;
  CHECK(status(&none).status == VerdictStatus::kExpired);
  CHECK(status(nullptr).status == VerdictStatus::kApproved);
}

TEST_CASE("an approval ends so long after the last scan, a first one is awaited as long",
          "[catalog][unit]") {
  Policy policy;
  policy.since_scan = days(30);
  const Base made = debian();
  const ScanSummaries none;
  const auto fresh = scanned(kApproved + days(10), {});
  const auto status = [&](const ScanSummaries* scans, WallTime now) {
    return standing_of(made, policy, scans, now).status;
  };
  CHECK(status(&none, kApproved + days(29)) == VerdictStatus::kApproved);
  CHECK(status(&none, kApproved + days(30)) == VerdictStatus::kExpired);
  CHECK(status(&fresh, kApproved + days(39)) == VerdictStatus::kApproved);
  CHECK(status(&fresh, kApproved + days(40)) == VerdictStatus::kExpired);
  const Catalog catalog = catalog_of({made}, policy);
  CHECK(catalog.next_change_after(kApproved, &fresh) == kApproved + days(40));
  CHECK(catalog.next_change_after(kApproved) == std::nullopt);
  const auto far = scanned(WallTime::max() - days(1), {});  // no reason to wrap around
  CHECK(status(&far, kApproved) == VerdictStatus::kApproved);
}

TEST_CASE("bad news below the policy's rung is pending, never approved", "[catalog][unit]") {
  struct Row {
    const char* name;
    Rung required;
    Rung seen;
    VerdictStatus expected;
  };
  for (const Row& row :
       {Row{"as it is by default", Rung::kContained, Rung::kClaimed, VerdictStatus::kRevoked},
        Row{"below", Rung::kContent, Rung::kShape, VerdictStatus::kPending},
        Row{"at it", Rung::kContent, Rung::kContent, VerdictStatus::kRevoked}}) {
    INFO(row.name);
    Base made = debian();
    made.status = BaseStatus::kRevoked;
    Policy policy;
    policy.revoked_rung = row.required;
    const Stack stack = stack_on(row.seen);
    const Verdict verdict = judge(stack, catalog_of({made}, policy), kApproved);
    CHECK(verdict.status == row.expected);
    CHECK(verdict.matches.front().status == row.expected);
    const bool has_finding = !causes_of(verdict, stack, false).empty();
    CHECK(has_finding == (row.expected == VerdictStatus::kRevoked));
  }
}

TEST_CASE("a weak sign of a revoked base keeps a run from being approved", "[catalog][unit]") {
  Base revoked = base("old:1", {"bad"});
  revoked.status = BaseStatus::kRevoked;
  Policy policy;
  policy.revoked_rung = Rung::kContent;
  Stack stack;
  stack.layers = {layer_with(evidence_of("root", Rung::kContent)),
                  layer_with(evidence_of("bad", Rung::kShape))};
  const Verdict verdict = judge(stack, catalog_of({debian(), revoked}, policy), kApproved);
  CHECK(verdict.status == VerdictStatus::kPending);
  CHECK_THAT(verdict.reason, Catch::Matchers::Contains("old:1 (revoked)"));
}

TEST_CASE("a policy's rung holds for contained bases as well", "[catalog][unit]") {
  Base revoked = base("old:1", {"bad"});
  revoked.status = BaseStatus::kRevoked;
  Containment found;
  found.files = 100;
  ContainedBase contained;
  contained.base = revoked.id;
  contained.is_contained = true;
  found.contained = {contained};
  for (const Rung rung : {Rung::kContained, Rung::kShape}) {
    Policy policy;
    policy.revoked_rung = rung;
    Verdict verdict;
    verdict.status = VerdictStatus::kUnknown;
    add_containment(verdict, found, catalog_of({revoked}, policy), kApproved);
    CHECK(verdict.status ==
          (rung == Rung::kContained ? VerdictStatus::kRevoked : VerdictStatus::kUnknown));
  }
}

ContainerNames web() {
  ContainerNames names;
  names.name = "web";
  names.image = "registry:5000/team/web:1.2";
  names.pod_name = "web-7d4b9c6f5-x2k9p";
  names.pod_namespace = "payments";
  names.labels = {{"pod-template-hash", "7d4b9c6f5"}, {"tier", "front"}};
  names.is_bound_to_kernel = true;
  return names;
}

Exemption in_payments() {
  Exemption exemption;
  exemption.base = "debian:12";
  exemption.pod_namespace = "payments";
  exemption.owner = "pay@example.org";
  exemption.reason = "moves in May";
  exemption.until = kApproved + days(30);
  return exemption;
}

const FindingCause kRevokedDebian{FindingKind::kRevokedBase, "debian:12", "it is revoked"};

bool is_exempt(const Exemption& exemption, const ContainerNames& names,
               const FindingCause& cause = kRevokedDebian, WallTime now = kApproved) {
  Policy policy;
  policy.exemptions = {exemption};
  return exemption_for(policy, cause, names, now).exemption != nullptr;
}

TEST_CASE("an exemption covers what all its selectors name", "[catalog][unit]") {
  struct Row {
    const char* name;
    void (*change)(Exemption&);
    bool expected;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"a namespace", [](Exemption&) {}, true},
           {"another one", [](Exemption& e) { e.pod_namespace = "shop"; }, false},
           {"all versions", [](Exemption& e) { e.base = "debian"; }, true},
           {"another version", [](Exemption& e) { e.base = "debian:11"; }, false},
           {"a longer name", [](Exemption& e) { e.base = "deb"; }, false},
           {"its deployment", [](Exemption& e) { e.workload = "web"; }, true},
           {"another workload", [](Exemption& e) { e.workload = "we"; }, false},
           {"its container", [](Exemption& e) { e.container = "web"; }, true},
           {"a beginning", [](Exemption& e) { e.container = "w*"; }, true},
           {"another beginning", [](Exemption& e) { e.container = "x*"; }, false},
           {"its image", [](Exemption& e) { e.image = "registry:5000/team/web:1.2"; }, true},
           {"any tag of it", [](Exemption& e) { e.image = "registry:5000/team/web"; }, true},
           {"another tag", [](Exemption& e) { e.image = "registry:5000/team/web:1.3"; }, false},
           {"a label",
            [](Exemption& e) {
              e.labels = {{"tier", "front"}};
            },
            true},
           {"another value",
            [](Exemption& e) {
              e.labels = {{"tier", "back"}};
            },
            false},
           {"namespace yes, workload no", [](Exemption& e) { e.workload = "api"; }, false}}) {
    INFO(row.name);
    Exemption exemption = in_payments();
    row.change(exemption);
    CHECK(is_exempt(exemption, web()) == row.expected);
  }
}

TEST_CASE("an exemption ends by its date", "[catalog][unit]") {
  const Exemption exemption = in_payments();
  CHECK(is_exempt(exemption, web(), kRevokedDebian, exemption.until - std::chrono::nanoseconds(1)));
  CHECK_FALSE(is_exempt(exemption, web(), kRevokedDebian, exemption.until));
  Policy policy;
  policy.exemptions = {exemption};
  CHECK(catalog_of({debian()}, policy).next_change_after(kApproved) == exemption.until);
  CHECK_FALSE(may_be_exempt(policy, {kRevokedDebian}, exemption.until));
}

TEST_CASE("an exemption never covers names that nothing confirms", "[catalog][unit]") {
  Policy policy;
  policy.exemptions = {in_payments()};
  ContainerNames unbound = web();
  unbound.is_bound_to_kernel = false;
  ContainerNames users = web();
  users.is_users_to_write = true;
  for (const ContainerNames& names : {unbound, users}) {
    const auto outcome = exemption_for(policy, kRevokedDebian, names, kApproved);
    CHECK(outcome.exemption == nullptr);
    CHECK(outcome.is_unconfirmed);
  }
}

TEST_CASE("only findings on a base are exempt", "[catalog][unit]") {
  for (const FindingKind kind : {FindingKind::kMismatch, FindingKind::kUnknownBase,
                                 FindingKind::kUnverified, FindingKind::kTampered})
    CHECK_FALSE(is_exempt(in_payments(), web(), {kind, "debian:12", ""}));
  CHECK(is_exempt(in_payments(), web(), {FindingKind::kExpiredBase, "debian:12", ""}));
  CHECK(is_exempt(in_payments(), web(), {FindingKind::kDeprecatedBase, "debian:12", ""}));
}

TEST_CASE("a workload is what controllers and tools write on containers", "[catalog][unit]") {
  const auto workload = [](const std::string& pod,
                           const std::map<std::string, std::string>& labels) {
    ContainerNames names;
    names.pod_name = pod;
    names.labels = labels;
    return workload_of(names);
  };
  CHECK(workload("web-7d4b9c6f5-x2k9p", {{"pod-template-hash", "7d4b9c6f5"}}) == "web");
  CHECK(workload("web-other-x2k9p", {{"pod-template-hash", "7d4b9c6f5"}}).empty());
  CHECK(workload("db-0", {{"statefulset.kubernetes.io/pod-name", "db-0"}}) == "db");
  CHECK(workload("log-agent-x2k9p", {{"controller-revision-hash", "5b"}}) == "log-agent");
  CHECK(workload("backup-28-abcde", {{"batch.kubernetes.io/job-name", "backup-28"}}) ==
        "backup-28");
  CHECK(workload("", {{"app.kubernetes.io/name", "shop"}}) == "shop");
  CHECK(workload("", {{"com.docker.compose.project", "shop"},
                      {"com.docker.compose.service", "web"}}) == "shop/web");
  CHECK(workload("web-7d4b9c6f5-x2k9p", {}).empty());
}

TEST_CASE("a policy with every rule survives JSON", "[catalog][unit]") {
  Policy policy;
  policy.deprecated_rung = Rung::kShape;
  policy.expired_rung = Rung::kClaimed;
  policy.revoked_rung = Rung::kContent;
  policy.since_build = days(90);
  policy.since_scan = std::chrono::hours(36);
  policy.requires_scan = true;
  policy.severity_limits = {0, 3, std::nullopt, std::nullopt, 7};
  Exemption exemption = in_payments();
  exemption.labels = {{"tier", "front"}};
  exemption.workload = "web";
  policy.exemptions = {exemption, in_payments()};
  const auto read = policy_from_json(to_json_text(policy));
  REQUIRE(read);
  CHECK(*read == policy);
  CHECK(policy_from_json(to_json_text(Policy{})).value() == Policy{});
}

TEST_CASE("a policy that would exempt everything is refused", "[catalog][unit]") {
  Policy policy;
  Exemption everywhere = in_payments();
  everywhere.pod_namespace.clear();
  policy.exemptions = {everywhere};
  CHECK_FALSE(policy_from_json(to_json_text(policy)));
  everywhere.container = "*";
  policy.exemptions = {everywhere};
  CHECK_FALSE(policy_from_json(to_json_text(policy)));
  Exemption nobody = in_payments();
  nobody.owner.clear();
  policy.exemptions = {nobody};
  CHECK_FALSE(policy_from_json(to_json_text(policy)));
  policy.exemptions.assign(kMaxExemptions + 1, in_payments());
  CHECK_FALSE(policy_from_json(to_json_text(policy)));
}

}  // namespace
}  // namespace assay::catalog
