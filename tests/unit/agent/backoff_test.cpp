// SPDX-License-Identifier: Apache-2.0
// How long agents stay away: bounds, spread, and what a collector asks for.
#include "agent/uplink/backoff.h"

#include <catch2/catch.hpp>
#include <vector>

#include "assay/v1/retry.pb.h"
#include "common/retry/retry_delay.h"

namespace assay::agent {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

std::string details_with(std::int64_t seconds, int nanos) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(seconds);
  retry.mutable_retry_delay()->set_nanos(nanos);
  google::rpc::Status status;
  status.set_code(8);
  // Another detail before it, as servers send them.
  status.add_details()->set_type_url("type.googleapis.com/google.rpc.DebugInfo");
  status.add_details()->PackFrom(retry);
  return status.SerializeAsString();
}

TEST_CASE("waits stay below a ceiling that doubles up to its limit, and begin again",
          "[agent][unit]") {
  for (std::uint32_t seed = 0; seed < 200; ++seed) {
    Backoff backoff(200ms, 1000ms, seed);
    for (const auto ceiling : {200ms, 400ms, 800ms, 1000ms, 1000ms})
      CHECK(backoff.next() <= ceiling);
    backoff.reset();
    CHECK(backoff.next() <= 200ms);
  }
}

TEST_CASE("many agents that lose one collector come back spread over the whole time",
          "[agent][unit]") {
  // 1,000 agents, their fourth attempt: in each tenth of the time about a tenth of them.
  std::vector<int> tenths(10);
  for (std::uint32_t seed = 0; seed < 1000; ++seed) {
    Backoff backoff(100ms, 60s, seed);
    milliseconds wait{};
    for (int attempt = 0; attempt < 4; ++attempt)
      wait = backoff.next();
    ++tenths[static_cast<std::size_t>(std::min<std::int64_t>(wait.count() / 80, 9))];
  }
  for (const int agents : tenths) {
    CHECK(agents > 60);
    CHECK(agents < 140);
  }
}

TEST_CASE("what the collector asks for is never undercut, and does not bring all back together",
          "[agent][unit]") {
  int late = 0;
  for (std::uint32_t seed = 0; seed < 1000; ++seed) {
    Backoff backoff(200ms, 1000ms, seed);
    const auto wait = backoff.next(10s);
    CHECK(wait >= 10s);
    CHECK(wait <= 20s);
    late += wait > 15s ? 1 : 0;
  }
  CHECK(late > 400);
  CHECK(late < 600);
}

TEST_CASE("the retry delay is read from the status' details", "[agent][unit]") {
  CHECK(retry_delay_of(details_with(7, 250'000'000)) == 7250ms);
  CHECK(retry_delay_of("") == 0ms);
  CHECK(retry_delay_of("not a message") == 0ms);
  CHECK(retry_delay_of(std::string(1 << 20, 'x')) == 0ms);
  CHECK(retry_delay_of(details_with(-5, -1)) == 0ms);
  CHECK(retry_delay_of(details_with(1'000'000'000, 0)) == kMaxRetryDelay);
  google::rpc::Status without;
  without.set_message("no details");
  CHECK(retry_delay_of(without.SerializeAsString()) == 0ms);
}

}  // namespace
}  // namespace assay::agent
