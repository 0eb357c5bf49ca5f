// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_file.h"

#include <catch2/catch.hpp>

#include "common/base/file.h"
#include "tests/unit/cli/program.h"

using namespace assay;
using namespace assay::cli;

namespace {

Result<catalog::Policy> policy_of(const std::string& yaml) {
  const tests::Home home;
  home.write("policy.yaml", yaml);
  return read_policy_file(home.path() + "/policy.yaml");
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
  CHECK(!read_policy_file("/nonexistent/policy.yaml"));
}
