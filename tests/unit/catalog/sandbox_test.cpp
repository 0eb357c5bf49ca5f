// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/sandbox.h"

#include <catch2/catch.hpp>

#include "common/catalog/policy_text.h"
#include "common/catalog/recognition.h"

namespace assay::catalog {
namespace {

struct Sandbox {
  Policy policy;
  ContainerNames names;
  Verdict verdict;
  std::vector<FindingCause> causes{{FindingKind::kUnknownBase, "", "nobody knows it"}};

  Sandbox() { names.is_bound_to_kernel = true; }
  SandboxOutcome apply(std::string_view kind = "sandbox") {
    return apply_sandbox_rule(policy, kind, names, verdict, causes);
  }
  void stand_on(const std::string& base) {
    verdict.status = VerdictStatus::kApproved;
    BaseMatch match;
    match.base = BaseId::parse(base).value();
    verdict.matches = {match};
    causes.clear();
  }
};

TEST_CASE("sandboxes are judged as everything else unless the policy says more",
          "[catalog][unit]") {
  Sandbox f;
  CHECK(f.apply().accepted.empty());
  CHECK(f.causes.size() == 1);
}

TEST_CASE("a verdict that is accepted on sandboxes is no finding", "[catalog][unit]") {
  Sandbox f;
  f.policy.sandbox.accepts = {"unknown"};
  CHECK(f.apply("container").accepted.empty());
  f.names.is_users_to_write = true;  // it calls itself a sandbox
  CHECK(f.apply().accepted.empty());
  f.names.is_users_to_write = false;
  CHECK(f.apply().accepted.size() == 1);
  CHECK(f.causes.empty());
  f.causes = {{FindingKind::kRevokedBase, "pause:1", "a hole"}};
  CHECK(f.apply().accepted.empty());
}

TEST_CASE("a sandbox on another base than the policy names is a finding", "[catalog][unit]") {
  Sandbox f;
  f.policy.sandbox.bases = {"pause", "infra:2"};
  for (const char* allowed : {"pause:1", "infra:2"}) {
    f.stand_on(allowed);
    f.apply();
    CHECK(f.causes.empty());
  }
  f.stand_on("infra:1");
  f.apply();
  REQUIRE(f.causes.size() == 1);
  CHECK(f.causes[0].subject == "sandbox");
  CHECK(f.causes[0].reason ==
        "a sandbox may stand on pause, infra:2 only, and this one stands on infra:1");
}

TEST_CASE("rules on containers are part of a policy's text", "[catalog][unit]") {
  Policy policy;
  policy.sandbox = {{"pause"}, {"unknown", "pending"}};
  policy.reports_rogue = false;
  const auto read = policy_from_json(to_json_text(policy));
  REQUIRE(read);
  CHECK(*read == policy);
  for (const char* change : {R"("sandbox_accepts":["revoked"])", R"("sandbox_bases":["A B"])"}) {
    const std::string text =
        R"({"required_rung":"content","pending_deadline_seconds":300,"containers":{"reports_rogue":true,)" +
        std::string(change) +
        (std::string(change).find("bases") == std::string::npos ? R"(,"sandbox_bases":[]}})"
                                                                : R"(,"sandbox_accepts":[]}})");
    CHECK_FALSE(policy_from_json(text));
  }
}

TEST_CASE("who is known to nobody is rogue, and one identity is one conflict", "[catalog][unit]") {
  CHECK(causes_of_recognition("", {}).empty());
  const auto causes = causes_of_recognition("nobody", {"web: a", "web: b", "db: c"});
  REQUIRE(causes.size() == 3);
  CHECK(causes[0].kind == FindingKind::kRogue);
  CHECK(causes[1].kind == FindingKind::kIdentityConflict);
  CHECK(causes[1].reason == "web: a; web: b");
}

}  // namespace
}  // namespace assay::catalog
