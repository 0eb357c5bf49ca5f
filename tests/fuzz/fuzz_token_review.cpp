// SPDX-License-Identifier: Apache-2.0
// What Kubernetes' API server answers: a review of a token, and the pod that it names.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "collector/core/principal.h"
#include "collector/kubernetes/token_review.h"

using namespace assay;
using namespace assay::collector;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const AccountPolicy policy{"assay-collector", {"assay/assay-agent"}};
  const auto review = read_review(bytes, policy);
  if (!review) return 0;
  // Nobody else comes through, and what becomes part of a path is a name.
  if (review->account.account != "assay/assay-agent" || !is_valid_name(review->name_space))
    std::abort();
  if (review->account.node_name.empty() && !is_valid_name(review->pod)) std::abort();
  (void)read_pod_node(bytes, *review);
  return 0;
}
