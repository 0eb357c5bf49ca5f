// SPDX-License-Identifier: Apache-2.0
// Commands of one stream, and what becomes of them when it ends.
#include "agent/app/command_desk.h"

#include <catch2/catch.hpp>
#include <thread>

namespace assay::agent {
namespace {

using catalog::VerifyBegun;
using catalog::VerifyDone;

struct ManualOrders final : VerifyOrders {
  Result<std::uint64_t> order(const VerifyOrder& wanted, VerifyListener listener) override {
    if (refusal) return *refusal;
    listeners.push_back(std::move(listener));
    targets.push_back(wanted.target);
    return listeners.size();
  }
  void cancel(std::uint64_t id) override { cancelled.push_back(id); }
  VerifyCounts counts() const override { return {}; }
  std::optional<Error> refusal;
  std::vector<VerifyListener> listeners;
  std::vector<std::string> targets;
  std::vector<std::uint64_t> cancelled;
};

struct Fixture {
  ManualOrders orders;
  int ready = 0;
  CommandDesk desk{orders, [this] { ++ready; }};
};

TEST_CASE("answers come in order with the number of their command", "[agent][unit]") {
  Fixture fixture;
  fixture.desk.verify({41, {"web"}, "user:ann"});
  CHECK(fixture.orders.targets == std::vector<std::string>{"web"});
  CHECK(fixture.orders.listeners[0](VerifyBegun{1}));
  CHECK(fixture.orders.listeners[0](VerifyDone{}));
  CHECK(fixture.ready == 2);
  CHECK(fixture.desk.take()->command == 41);
  CHECK(std::get<VerifyDone>(fixture.desk.take()->event) == VerifyDone{});
  CHECK_FALSE(fixture.desk.take());
}

TEST_CASE("an order that is refused is answered with why", "[agent][unit]") {
  Fixture fixture;
  fixture.orders.refusal = Error{ErrorCode::kLimitExceeded, "too many"};
  fixture.desk.verify({1, {}, ""});
  const auto answer = fixture.desk.take();
  REQUIRE(answer);
  CHECK(std::get<VerifyDone>(answer->event) == VerifyDone{ErrorCode::kLimitExceeded, "too many"});
}

TEST_CASE("a cancelled command is answered no more", "[agent][unit]") {
  Fixture fixture;
  fixture.desk.verify({1, {}, ""});
  fixture.desk.cancel(1);
  fixture.desk.cancel(2);  // nobody knows it
  CHECK(fixture.orders.cancelled == std::vector<std::uint64_t>{1});
  CHECK_FALSE(fixture.orders.listeners[0](VerifyDone{}));
  CHECK_FALSE(fixture.desk.take());
}

TEST_CASE("with the stream its commands end, and their numbers are free", "[agent][unit]") {
  Fixture fixture;
  fixture.desk.verify({1, {}, ""});
  CHECK(fixture.orders.listeners[0](VerifyBegun{1}));
  fixture.desk.end_stream();
  CHECK(fixture.orders.cancelled == std::vector<std::uint64_t>{1});
  CHECK_FALSE(fixture.desk.take());
  fixture.desk.verify({1, {}, ""});
  CHECK_FALSE(fixture.orders.listeners[0](VerifyDone{}));  // of the stream before
  CHECK(fixture.orders.listeners[1](VerifyDone{}));
  CHECK(fixture.desk.take());
}

TEST_CASE("the work waits until its answers are taken", "[agent][unit]") {
  Fixture fixture;
  fixture.desk.verify({1, {}, ""});
  std::atomic<int> put{0};
  std::jthread worker([&] {
    for (int i = 0; i < 200; ++i)
      if (fixture.orders.listeners[0](catalog::VerifiedLayer{})) ++put;
  });
  int taken = 0;
  while (taken < 200)
    if (fixture.desk.take()) ++taken;
  worker.join();
  CHECK(put == 200);
}

}  // namespace
}  // namespace assay::agent
