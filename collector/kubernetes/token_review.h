// SPDX-License-Identifier: Apache-2.0
// What Kubernetes' API says of a service account's token, as bytes in and out. Its answers are
// foreign bytes: everything is bounded.
//
// Source: Kubernetes API reference, authentication.k8s.io/v1 TokenReview; KEP-4193 (node-name and
// node-uid in the extra fields, from 1.32 on by default).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "collector/core/enrolment.h"
#include "common/base/result.h"

namespace assay::collector {

inline constexpr std::size_t kMaxApiAnswerBytes = 256 << 10;

struct AccountPolicy {
  std::string audience;
  std::vector<std::string> accounts;  ///< NAMESPACE/NAME
};

/// A token that is genuine, for us, and of an account that is allowed.
struct Review {
  ReviewedAccount account;  ///< without a node where the API server tells none
  std::string name_space;
  std::string pod;  ///< "" = the token is bound to none
  std::string pod_uid;
};

std::string review_request(const std::string& token, const std::string& audience);

/// Errors: kCorrupt, kLimitExceeded, kPermissionDenied (not authenticated, another audience or
/// account, bound to no pod).
Result<Review> read_review(std::string_view answer, const AccountPolicy& policy);

/// The node that the pod of `review` runs on. Errors: as above (another pod of that name; it runs
/// nowhere yet).
Result<std::string> read_pod_node(std::string_view answer, const Review& review);

}  // namespace assay::collector
