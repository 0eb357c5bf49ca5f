// SPDX-License-Identifier: Apache-2.0
// What-if questions: they read, and change nothing.
#include "collector/core/discovery.h"
#include "collector/core/policy_trial.h"
#include "collector/query/answers.h"
#include "collector/query/to_wire.h"
#include "common/catalog/policy_text.h"

namespace assay::collector {
namespace {

constexpr std::uint32_t kUsualProposals = 50;
constexpr std::uint32_t kMaxProposals = 500;

}  // namespace

Result<void> Answers::test_policy(const v1::TestPolicyRequest& request, v1::PolicyTrial& response) {
  auto policy = catalog::policy_from_json(request.policy());
  if (!policy) return std::move(policy.error()).with_context("policy");
  const auto catalog = keeper_.catalog();
  ASSAY_ASSIGN(const TrialView trial, try_policy(store_, *catalog, *policy, clock_.wall_now()));
  to_wire(trial, response);
  response.set_catalog_sequence(catalog->sequence());
  return ok();
}

Result<void> Answers::discover(const v1::DiscoverRequest& request, v1::Discovery& response) {
  if (request.max_proposals() > kMaxProposals)
    return Error{ErrorCode::kInvalidArgument,
                 "at most " + std::to_string(kMaxProposals) + " proposals"};
  const std::uint32_t wanted =
      request.max_proposals() == 0 ? kUsualProposals : request.max_proposals();
  ASSAY_ASSIGN(const DiscoveryView found, collector::discover(store_, wanted));
  to_wire(found, response);
  return ok();
}

}  // namespace assay::collector
