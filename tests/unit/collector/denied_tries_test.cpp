// SPDX-License-Identifier: Apache-2.0
// Denied tries in the audit log: all of them, in few rows.
#include "collector/core/denied_tries.h"

#include <catch2/catch.hpp>

namespace assay::collector {
namespace {

using namespace std::chrono_literals;

constexpr DeniedTries::Time kNow{1h};

AuditEntry try_of(const std::string& actor, const std::string& action, int port) {
  return {1, actor, action, "", "refused", "why", "ipv4:192.0.2.7:" + std::to_string(port)};
}

TEST_CASE("denied tries are written one by one while they are few", "[collector][unit]") {
  DeniedTries tries;
  for (int i = 0; i < 20; ++i)
    CHECK(tries.admit(try_of("node:a", "Query.ListRuns", i), kNow));
  CHECK_FALSE(tries.admit(try_of("node:a", "Query.ListRuns", 99), kNow));
  CHECK(tries.admit(try_of("node:a", "Query.ListNodes", 99), kNow));
  CHECK(tries.admit(try_of("node:b", "Query.ListRuns", 99), kNow));
  CHECK(tries.admit(try_of("node:a", "Query.ListRuns", 99), kNow + 10s));
}

TEST_CASE("what was held back is told with its number", "[collector][unit]") {
  DeniedTries tries;
  for (int i = 0; i < 1020; ++i)
    (void)tries.admit(try_of("node:a", "Query.ListRuns", i), kNow);
  CHECK(tries.due(kNow + 59s, 5).empty());
  const auto due = tries.due(kNow + 60s, 5);
  REQUIRE(due.size() == 1);
  CHECK(due.front().detail == "1000 more like it; the last: why");
  CHECK(due.front().actor == "node:a");
  CHECK(due.front().peer == "ipv4:192.0.2.7:1019");
  CHECK(due.front().time_ns == 5);
  CHECK(tries.due(kNow + 1h, 6).empty());
}

TEST_CASE("tries of any number of names fill neither disk nor memory", "[collector][unit]") {
  DeniedTries tries;
  int written = 0, told = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto now = kNow + std::chrono::milliseconds(i);
    written += tries.admit(try_of("user:" + std::to_string(i), "Query.ListRuns", i), now) ? 1 : 0;
    if (i % 1000 == 0) told += static_cast<int>(tries.due(now, i).size());
  }
  CHECK(written < 1100);
  CHECK(told < 1100);
}

}  // namespace
}  // namespace assay::collector
