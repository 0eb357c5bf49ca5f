// SPDX-License-Identifier: Apache-2.0
#include "agent/identify/background_budget.h"

#include <catch2/catch.hpp>

#include <thread>

using namespace assay;
using namespace assay::agent;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kMiB = 1ULL << 20;

/// How long `work` takes; only ever compared with what it must take at least.
template <typename Work>
std::chrono::steady_clock::duration time_of(Work work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::steady_clock::now() - began;
}

}  // namespace

TEST_CASE("a budget without limits lets all through", "[agent][unit]") {
  BackgroundBudget budget({0, 0});
  CHECK(time_of([&] { budget.spend(1ULL << 50, 100h, {}); }) < 10s);
}

TEST_CASE("what was read is waited for", "[agent][unit]") {
  BackgroundBudget budget({20 * kMiB, 0});
  // 350 ms at this speed, of which a fresh budget forgives 200.
  CHECK(time_of([&] {
          budget.spend(6 * kMiB, 1h, {});
          budget.spend(kMiB, 0s, {});
        }) >= 150ms);
}

TEST_CASE("what was computed is waited for", "[agent][unit]") {
  BackgroundBudget budget({0, 10});
  CHECK(time_of([&] { budget.spend(1ULL << 50, 30ms, {}); }) >= 100ms);
}

TEST_CASE("threads share a budget", "[agent][unit]") {
  BackgroundBudget budget({20 * kMiB, 0});
  CHECK(time_of([&] {
          const std::jthread one([&] { budget.spend(3 * kMiB, 0s, {}); });
          const std::jthread two([&] { budget.spend(3 * kMiB, 0s, {}); });
        }) >= 100ms);
}

TEST_CASE("a stop and new limits end a wait", "[agent][unit]") {
  BackgroundBudget budget({kMiB, 1});
  std::jthread waiting([&](const std::stop_token& stop) { budget.spend(1ULL << 40, 1h, stop); });
  SECTION("a stop") {
    waiting.request_stop();
  }
  SECTION("new limits") {
    // Again and again, as the thread may not be waiting yet.
    std::jthread changing([&](const std::stop_token& stop) {
      for (std::uint64_t bytes = 1; !stop.stop_requested(); ++bytes) {
        budget.set_limits({bytes << 40, 0});
        std::this_thread::yield();
      }
    });
    waiting.join();
  }
  CHECK(time_of([&] {
          if (waiting.joinable()) waiting.join();
        }) < 10s);
}

TEST_CASE("a walk is metered by its reading", "[agent][unit]") {
  BackgroundBudget budget({20 * kMiB, 0});
  const auto meter = budget.meter({});
  image::WalkProgress read;
  CHECK(time_of([&] {
          read.bytes = 5 * kMiB;  // 250 ms, of which 200 are forgiven
          meter(read);
          read.bytes += 2 * kMiB;
          meter(read);
        }) >= 150ms);
  read.own_thread_time = 1h;  // no limit on that
  CHECK(time_of([&] { meter(read); }) < 10s);
}
