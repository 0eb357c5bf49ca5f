// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_file.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "cli/policy_yaml.h"
#include "common/base/file.h"
#include "tests/unit/cli/program.h"

using namespace assay;
using namespace assay::cli;

namespace {

const WallTime kNow = parse_rfc3339("2026-06-01T00:00:00Z").value();

Result<catalog::Policy> policy_of(const std::string& yaml) {
  const tests::Home home;
  home.write("policy.yaml", yaml);
  return read_policy_file(home.path() + "/policy.yaml", kNow);
}

}  // namespace

TEST_CASE("docs/cli.md shows the keys of a policy as they are declared", "[cli][unit]") {
  const auto page = read_file(ASSAY_DOCS "/cli.md", 1 << 20);
  REQUIRE(page);
  CHECK_THAT(*page, Catch::Matchers::Contains(policy_table().reference_markdown()));
}

TEST_CASE("a policy file says what differs from the defaults", "[cli][unit]") {
  CHECK(policy_of("").value() == catalog::Policy{});
  const auto policy = policy_of(
      "required_rung: shape\npending_deadline: 1m\ncontained:\n  share_percent: 80\n"
      "  own_percent: 60\n  min_files: 5\n");
  REQUIRE(policy);
  CHECK(policy->required_rung == catalog::Rung::kShape);
  CHECK(policy->pending_deadline == std::chrono::minutes(1));
  CHECK(policy->contained_share_percent == 80);
  CHECK(policy->contained_own_percent == 60);
  CHECK(policy->contained_min_files == 5);
}

TEST_CASE("a wrong policy file is refused with every place", "[cli][unit]") {
  const auto policy = policy_of(
      "required_rung: contained\npending_deadline: 8d\ncontained:\n  share_percent: 0\n"
      "  min_file: 5\n");
  REQUIRE(!policy);
  CHECK(policy.error().code == ErrorCode::kInvalidArgument);
  for (const char* part : {"policy.yaml:1:16: required_rung:", "policy.yaml:2:", "policy.yaml:4:",
                           "policy.yaml:5:", "contained.min_files?"})
    CHECK_THAT(policy.error().message, Catch::Matchers::Contains(part));
  CHECK(!read_policy_file("/nonexistent/policy.yaml", kNow));
}

TEST_CASE("a policy file holds rules and exemptions", "[cli][unit]") {
  const auto policy = policy_of(
      "rungs:\n  revoked: shape\nfreshness:\n  since_build: 90d\n  since_scan: 30d\n"
      "scan:\n  required: true\n  max_critical: 0\n"
      "exemptions:\n"
      "  - base: debian:12\n    namespace: payments\n    workload: web\n"
      "    labels: {tier: front}\n    owner: pay@example.org\n    reason: moves in July\n"
      "    until: 2026-07-31\n"
      "  - base: alpine\n    image: registry/app\n    owner: x\n    reason: y\n"
      "    until: 2026-07-31T18:00:00Z\n");
  REQUIRE(policy);
  CHECK(policy->revoked_rung == catalog::Rung::kShape);
  CHECK(policy->expired_rung == catalog::Rung::kContained);
  CHECK(policy->since_build == std::chrono::days(90));
  CHECK(policy->since_scan == std::chrono::days(30));
  CHECK(policy->requires_scan);
  catalog::SeverityLimits no_critical;
  no_critical.critical = 0;
  CHECK(policy->severity_limits == no_critical);
  REQUIRE(policy->exemptions.size() == 2);
  const catalog::Exemption& first = policy->exemptions.front();
  CHECK(first.pod_namespace == "payments");
  CHECK(first.workload == "web");
  CHECK(first.labels.at("tier") == "front");
  CHECK(to_rfc3339(first.until, 0) == "2026-07-31T00:00:00Z");
}

TEST_CASE("a policy is shown as the file that says it", "[cli][unit]") {
  catalog::Policy policy;
  CHECK(policy_of(policy_yaml(policy, kNow)).value() == policy);
  policy.required_rung = catalog::Rung::kExact;
  policy.pending_deadline = std::chrono::seconds(90);
  policy.contained_share_percent = 80;
  policy.contained_own_percent = 70;
  policy.contained_min_files = 5;
  policy.deprecated_rung = catalog::Rung::kClaimed;
  policy.expired_rung = catalog::Rung::kShape;
  policy.revoked_rung = catalog::Rung::kContent;
  policy.since_build = std::chrono::days(180);
  policy.since_scan = std::chrono::hours(36);
  policy.requires_scan = true;
  policy.severity_limits = {0, 1, 2, 3, 4};
  catalog::Exemption exemption;
  exemption.base = "debian:12";
  exemption.pod_namespace = "payments";
  exemption.workload = "shop/ledger";
  exemption.container = "web-*";
  exemption.image = "registry:5000/app";
  exemption.labels = {{"tier", "front: #1"}, {"yes", "no"}};
  exemption.owner = "\"M\xc3\xbcller\" \\ud83d \xf0\x9f\x98\x80";
  exemption.reason = "two\nlines\t\x1b[31m";
  exemption.until = parse_rfc3339("2026-07-31T18:00:00.5Z").value();
  policy.exemptions = {exemption, exemption};
  policy.exemptions[1].base = "alpine";
  const std::string yaml = policy_yaml(policy, kNow);
  INFO(yaml);
  CHECK(policy_of(yaml).value() == policy);
  CHECK(std::ranges::all_of(yaml, [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); }));
  policy.exemptions[0].until = kNow;  // what is over is no part of the file
  const auto read = policy_of(policy_yaml(policy, kNow));
  REQUIRE(read);
  policy.exemptions.erase(policy.exemptions.begin());
  CHECK(*read == policy);
}

TEST_CASE("every mistake in the exemptions is told with its place", "[cli][unit]") {
  struct Row {
    const char* yaml;
    const char* expected;
  };
  for (const Row& row : {
           Row{"exemptions: yes\n", "policy.yaml:1:13: exemptions: a list is wanted"},
           Row{"exemptions:\n  - debian\n", "policy.yaml:2:5: exemptions: an entry is a map"},
           Row{"exemptions:\n  - base: debian\n    name_space: x\n",
               "policy.yaml:3:5: exemptions: unknown key name_space; did you mean namespace?"},
           Row{"exemptions:\n  - base: debian\n", "policy.yaml:2:5: exemptions: owner is missing"},
           Row{"exemptions:\n  - base: Debian\n    until: 2026-07-01\n",
               "policy.yaml:2:11: exemptions.base: \"Debian\" is no base name"},
           Row{"exemptions:\n  - base: debian\n    until: 2025-07-01\n",
               "policy.yaml:3:12: exemptions.until: 2025-07-01T00:00:00Z has passed already"},
           Row{"exemptions:\n  - base: debian\n    until: soon\n",
               "policy.yaml:3:12: exemptions.until: a date"},
           Row{"exemptions:\n  - base: debian\n    base: alpine\n",
               "policy.yaml:3:5: exemptions.base: given twice"},
           Row{"exemptions:\n  - base: debian\n    owner:\n",
               "policy.yaml:3:5: exemptions.owner: one text is wanted"},
           Row{"exemptions:\n  - base: debian\n    until: 2026-07-01\n",
               "policy.yaml:2:11: exemptions.base: say whom it is for"},
           Row{"exemptions: []\nexemptions: []\n", "policy.yaml:2:1: exemptions: given twice"},
           Row{"required_rung: none\nexemptions: 5\n", "policy.yaml:1:16: required_rung:"},
       }) {
    INFO(row.yaml);
    const auto policy = policy_of(row.yaml);
    REQUIRE(!policy);
    CHECK(policy.error().code == ErrorCode::kInvalidArgument);
    CHECK_THAT(policy.error().message, Catch::Matchers::Contains(row.expected));
  }
}
