// SPDX-License-Identifier: Apache-2.0
#include "collector/kubernetes/token_review.h"

#include <catch2/catch.hpp>

#include "common/base/file.h"

namespace assay::collector {
namespace {

const AccountPolicy kPolicy{"assay-collector", {"assay/assay-agent"}};

std::string recorded(const std::string& name) {
  auto text = read_file(std::string(ASSAY_SOURCE_DIR "/tests/golden/kubernetes/") + name + ".json",
                        1 << 20);
  REQUIRE(text);
  return *text;
}

TEST_CASE("a review names account, node and pod", "[collector][unit]") {
  const auto review = read_review(recorded("authenticated"), kPolicy);
  REQUIRE(review);
  CHECK(review->account.account == "assay/assay-agent");
  CHECK(review->account.node_name == "node-1");
  CHECK(review->account.node_uid == "7d4b1c1e-0b5e-4b7c-9f55-6a3a5c6b7d10");
  CHECK(review->pod == "assay-agent-x7k2p");
}

TEST_CASE("an older server names a pod, which runs on a node", "[collector][unit]") {
  const auto review = read_review(recorded("older_server"), kPolicy);
  REQUIRE(review);
  CHECK(review->account.node_name.empty());
  CHECK(*read_pod_node(recorded("pod"), *review) == "node-1");
  CHECK(!read_pod_node(recorded("pod_of_the_same_name"), *review));
  CHECK(!read_pod_node("{}", *review));
}

TEST_CASE("what Kubernetes does not vouch for is refused, whatever form it has",
          "[collector][unit]") {
  struct Row {
    std::string answer;
    ErrorCode code;
  };
  const auto row = GENERATE(
      values<Row>({{recorded("refused"), ErrorCode::kPermissionDenied},
                   {recorded("other_audience"), ErrorCode::kPermissionDenied},
                   {recorded("other_account"), ErrorCode::kPermissionDenied},
                   {recorded("no_account"), ErrorCode::kPermissionDenied},
                   {recorded("unbound"), ErrorCode::kPermissionDenied},
                   {"", ErrorCode::kCorrupt},
                   {"[]", ErrorCode::kCorrupt},
                   {"{\"kind\":\"TokenReview\"}", ErrorCode::kCorrupt},
                   {"{\"kind\":\"TokenReview\",\"status\":{\"authenticated\":\"true\"}}",
                    ErrorCode::kPermissionDenied},
                   {"{\"kind\":\"TokenReview\",\"status\":{\"authenticated\":true,\"audiences\":"
                    "\"assay-collector\"}}",
                    ErrorCode::kPermissionDenied},
                   {std::string(kMaxApiAnswerBytes + 1, ' '), ErrorCode::kLimitExceeded},
                   {std::string(1000, '['), ErrorCode::kLimitExceeded}}));
  CAPTURE(row.answer.substr(0, 100));
  const auto review = read_review(row.answer, kPolicy);
  REQUIRE(!review);
  CHECK(review.error().code == row.code);
}

TEST_CASE("a token is quoted in the request, whatever is in it", "[collector][unit]") {
  CHECK(review_request("a\"b\xff", "x").find("a\\\"b\\ufffd") != std::string::npos);
}

}  // namespace
}  // namespace assay::collector
