// SPDX-License-Identifier: Apache-2.0
// Who may speak, and how much: budgets, identities, presence.
#include "collector/core/identity_guard.h"
#include "collector/core/intake_budget.h"
#include "collector/core/node_registry.h"
#include "tests/unit/collector/support.h"

namespace assay::collector {
namespace {

using namespace tests;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Decision = IdentityGuard::Decision;

const NodeKey kOne{"test", "one"};
const NodeKey kTwo{"test", "two"};

TEST_CASE("the budget is in bytes, of all agents together", "[collector][unit]") {
  IntakeBudget budget({1000, {}});
  REQUIRE(budget.admit(kOne, 400));
  REQUIRE(budget.admit(kTwo, 500));
  const auto refused = budget.admit(kOne, 101);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kLimitExceeded);
  CHECK(budget.held() == 900);
  budget.release(kTwo, 500, Clock::now(), true);
  CHECK(budget.admit(kOne, 100));
}

TEST_CASE("a message larger than the budget is taken when nothing else is held",
          "[collector][unit]") {
  IntakeBudget budget({1000, {}});
  REQUIRE(budget.admit(kOne, 5000));
  CHECK_FALSE(budget.admit(kTwo, 1));
  budget.release(kOne, 5000, Clock::now(), true);
  CHECK(budget.held() == 0);
}

TEST_CASE("a loud agent cannot shut the others out", "[collector][unit]") {
  IntakeBudget budget({1000, {}});
  while (budget.admit(kOne, 10)) {
  }
  CHECK(budget.held() <= 510);  // up to half as it likes, then its share
  for (int n = 0; n < 10; ++n)
    CHECK(budget.admit({"test", "quiet-" + std::to_string(n)}, 40));
  CHECK_FALSE(budget.admit(kOne, 10));
}

TEST_CASE("while the process is short of memory one message at a time goes on",
          "[collector][unit]") {
  bool is_short = true;
  IntakeBudget budget({1000, [&] { return is_short; }});
  REQUIRE(budget.admit(kOne, 10));
  CHECK_FALSE(budget.admit(kTwo, 10));
  budget.release(kOne, 10, Clock::now(), true);
  REQUIRE(budget.admit(kTwo, 10));
  is_short = false;
  CHECK(budget.admit(kOne, 10));
}

TEST_CASE("the retry delay follows how fast room is made, within limits", "[collector][unit]") {
  IntakeBudget budget({1'000'000, {}});
  CHECK(budget.retry_after() == 5s);  // nothing is known yet
  Clock::time_point now = Clock::now();
  REQUIRE(budget.admit(kTwo, 500'000));
  for (int second = 0; second < 60; ++second) {
    REQUIRE(budget.admit(kOne, 50'000));
    now += 1s;
    budget.release(kOne, 50'000, now, true);
  }
  CHECK(budget.retry_after() > 9s);  // 500,000 bytes at 50,000 a second
  CHECK(budget.retry_after() < 11s);
  for (int second = 0; second < 60; ++second) {
    REQUIRE(budget.admit(kOne, 10));
    now += 1s;
    budget.release(kOne, 10, now, true);
  }
  CHECK(budget.retry_after() == 30s);
  budget.release(kTwo, 500'000, now, true);
  CHECK(budget.retry_after() == 1s);
}

TEST_CASE("the first agent of a node is accepted, and its next connection, too",
          "[collector][unit]") {
  IdentityGuard guard(10s);
  const auto now = Clock::now();
  CHECK(guard.decide(kOne, std::nullopt, "a", now) == Decision::kAccept);
  CHECK(guard.decide(kOne, IdentityGuard::Speaker{"a", now}, "a", now + 1s) == Decision::kAccept);
}

TEST_CASE("a second agent is refused while the first is heard of, and takes over after that",
          "[collector][unit]") {
  IdentityGuard guard(10s);
  const auto now = Clock::now();
  const IdentityGuard::Speaker first{"a", now};
  CHECK(guard.decide(kOne, first, "b", now + 29s) == Decision::kRefuse);
  CHECK(guard.decide(kOne, first, "b", now + 31s) == Decision::kAccept);
}

TEST_CASE("a first agent that speaks on after the second came is a conflict, told once a minute",
          "[collector][unit]") {
  IdentityGuard guard(10s);
  const auto now = Clock::now();
  CHECK(guard.decide(kOne, IdentityGuard::Speaker{"a", now}, "b", now + 1s) == Decision::kRefuse);
  const auto spoke = now + 5s;
  const IdentityGuard::Speaker alive{"a", spoke};
  CHECK(guard.decide(kOne, alive, "b", now + 6s) == Decision::kConflict);
  CHECK(guard.decide(kOne, alive, "b", now + 7s) == Decision::kRefuse);
  CHECK(guard.decide(kTwo, alive, "b", now + 7s) == Decision::kRefuse);  // another node
  CHECK(guard.decide(kOne, IdentityGuard::Speaker{"a", now + 67s}, "b", now + 68s) ==
        Decision::kConflict);
  // An agent that was only restarted is none: the first never speaks again.
  CHECK(guard.decide(kTwo, IdentityGuard::Speaker{"a", now}, "c", now + 1s) == Decision::kRefuse);
  CHECK(guard.decide(kTwo, std::nullopt, "c", now + 2s) == Decision::kAccept);
  CHECK(guard.decide(kTwo, IdentityGuard::Speaker{"c", now + 3s}, "c", now + 4s) ==
        Decision::kAccept);
}

struct Presence {
  FakeClock clock;
  NodeRegistry registry{{}, clock, 10s};
  AgentInfo agent;

  Presence() { agent.instance = "i"; }
  NodeView node() {
    const auto all = registry.nodes();
    REQUIRE(all.size() == 1);
    return all.front();
  }
  void beat(std::uint64_t number, std::uint64_t running = 0) {
    Heartbeat heartbeat;
    heartbeat.number = number;
    heartbeat.running = running;
    heartbeat.time_ns = to_unix_ns(clock.wall_now()) + 2'000'000'000;
    registry.heartbeat(kOne, heartbeat, clock.wall_now());
  }
};

TEST_CASE("a node is connected, away or silent by its stream and its heartbeats",
          "[collector][unit]") {
  Presence here;
  here.registry.connected(kOne, here.agent, here.clock.wall_now());
  CHECK(here.node().presence == NodePresence::kConnected);
  here.clock.advance(31s);
  CHECK(here.node().presence == NodePresence::kSilent);  // a stream, and not a word on it
  CHECK(here.node().is_connected);
  here.beat(1);
  CHECK(here.node().presence == NodePresence::kConnected);
  CHECK(here.node().clock_offset_ns == 2'000'000'000);
  here.registry.disconnected(kOne, here.clock.wall_now());
  CHECK(here.node().presence == NodePresence::kAway);
  here.clock.advance(31s);
  CHECK(here.node().presence == NodePresence::kSilent);
  here.clock.advance(-1h);  // our own clock was set back: nothing is heard from the future
  CHECK(here.node().presence == NodePresence::kSilent);
}

TEST_CASE("a heartbeat that was overtaken changes nothing", "[collector][unit]") {
  Presence here;
  here.registry.connected(kOne, here.agent, here.clock.wall_now());
  here.beat(1, 10);
  here.beat(3, 30);
  here.beat(2, 20);
  CHECK(here.node().heartbeat.running == 30);
  here.agent.instance = "restarted";
  here.registry.connected(kOne, here.agent, here.clock.wall_now());
  here.beat(1, 11);
  CHECK(here.node().heartbeat.running == 11);
}

}  // namespace
}  // namespace assay::collector
