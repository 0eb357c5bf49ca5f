// SPDX-License-Identifier: Apache-2.0
// What an outbox knows of collectors: what was acknowledged, and when its epoch is void.
#include <catch2/catch.hpp>
#include <thread>

#include "agent/outbox/outbox.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

std::unique_ptr<Outbox> open(const Scratch& scratch) {
  auto outbox = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE(outbox);
  (*outbox)->start({[] {}, [](const DroppedEvents&) { return NewEvent{}; }});
  return std::move(*outbox);
}

void append(Outbox& outbox, int events, std::int64_t time_ns = 1'000) {
  for (int i = 0; i < events; ++i) {
    NewEvent event;
    event.time = from_unix_ns(time_ns + i);
    event.payload = "event";
    outbox.append(std::move(event));
  }
  REQUIRE(outbox.flush(kDeadline));
}

template <typename Condition>
bool eventually(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + kDeadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST_CASE("what a collector acknowledged is remembered across a restart", "[agent][unit]") {
  const Scratch scratch;
  {
    const auto outbox = open(scratch);
    CHECK(outbox->acknowledged() == 0);
    append(*outbox, 3);
    outbox->acknowledge(2);
    CHECK(outbox->acknowledged() == 2);
  }
  const auto outbox = open(scratch);
  CHECK(outbox->acknowledged() == 2);
  CHECK(outbox->status().events == 1);
}

TEST_CASE("the oldest event that is not acknowledged has a time", "[agent][unit]") {
  const Scratch scratch;
  {
    const auto outbox = open(scratch);
    CHECK_FALSE(outbox->status().oldest);
    append(*outbox, 3, 500);
    CHECK(outbox->status().oldest == from_unix_ns(500));
    outbox->acknowledge(1);
    CHECK(eventually([&] { return outbox->status().oldest == from_unix_ns(501); }));
  }
  const auto outbox = open(scratch);
  CHECK(outbox->status().oldest == from_unix_ns(501));
  outbox->acknowledge(3);
  CHECK(eventually([&] { return !outbox->status().oldest; }));
}

TEST_CASE("a welcome within what was handed out is taken", "[agent][unit]") {
  const Scratch scratch;
  Epoch epoch;
  {
    const auto outbox = open(scratch);
    epoch = outbox->epoch();
    append(*outbox, 3);
    CHECK(outbox->resume(0));
    REQUIRE(outbox->read_after(0, 1 << 20));
    CHECK(outbox->resume(3));
  }
  const auto outbox = open(scratch);
  CHECK(outbox->resume(3));  // the process before may have sent all that it left
  append(*outbox, 1);
  REQUIRE(outbox->read_after(3, 1 << 20));
  CHECK(outbox->resume(4));
  CHECK(outbox->epoch() == epoch);
}

TEST_CASE("a collector that has more than was ever handed out makes the epoch void",
          "[agent][unit]") {
  // The file is an older copy of what the collector saw: 4 and 5 were other events then.
  const Scratch scratch;
  Epoch before;
  {
    const auto outbox = open(scratch);
    before = outbox->epoch();
    append(*outbox, 3);
    outbox->acknowledge(1);
  }
  Epoch after;
  {
    const auto outbox = open(scratch);
    append(*outbox, 2);
    CHECK_FALSE(outbox->resume(5));
    REQUIRE(eventually([&] { return outbox->epoch() != before; }));
    after = outbox->epoch();
    CHECK(outbox->acknowledged() == 0);
    CHECK(outbox->status().events == 4);  // nothing that is here is given up
    const auto events = outbox->read_after(0, 1 << 20);
    REQUIRE(events);
    CHECK(events->front().sequence == 2);
    CHECK(events->back().sequence == 5);
    CHECK(outbox->resume(0));
    outbox->acknowledge(5);
  }
  const auto outbox = open(scratch);
  CHECK(outbox->epoch() == after);
  CHECK(outbox->acknowledged() == 5);
  CHECK(outbox->status().events == 0);
}

}  // namespace
}  // namespace assay::agent
