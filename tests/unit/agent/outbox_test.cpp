// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.h"

#include <atomic>
#include <catch2/catch.hpp>

#include "common/base/sha256.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::Scratch;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;

NewEvent make_event(const std::string& payload, EventPriority priority = EventPriority::kRun) {
  NewEvent event;
  event.priority = priority;
  event.time = from_unix_ns(1'000);
  event.payload = payload;
  return event;
}

NewEvent make_gap(const DroppedEvents& dropped) {
  return make_event("gap of " + std::to_string(dropped.events), EventPriority::kFinding);
}

std::unique_ptr<Outbox> open(const Scratch& scratch, OutboxOptions options = {}) {
  auto outbox = Outbox::open(scratch.path("outbox.db"), options);
  REQUIRE(outbox);
  (*outbox)->start({[] {}, make_gap});
  return std::move(*outbox);
}

std::vector<std::string> payloads(Outbox& outbox, std::uint64_t after) {
  auto events = outbox.read_after(after, 1 << 20);
  REQUIRE(events);
  std::vector<std::string> all;
  for (const OutgoingEvent& event : *events)
    all.push_back(event.payload);
  return all;
}

std::vector<std::string> strings(std::initializer_list<const char*> list) {
  return {list.begin(), list.end()};
}

TEST_CASE("events come back in the order they were appended, numbered from 1", "[agent][unit]") {
  const Scratch scratch;
  const auto outbox = open(scratch);
  outbox->append(make_event("a"));
  outbox->append(make_event("b"));
  REQUIRE(outbox->flush(kDeadline));
  const auto events = outbox->read_after(0, 1 << 20);
  REQUIRE(events);
  REQUIRE(events->size() == 2);
  CHECK(events->at(0).sequence == 1);
  CHECK(events->at(1).sequence == 2);
  CHECK(payloads(*outbox, 1) == strings({"b"}));
}

TEST_CASE("a batch holds at least one event and no more bytes than asked for", "[agent][unit]") {
  const Scratch scratch;
  const auto outbox = open(scratch);
  for (const char* payload : {"12345678", "abcdefgh", "x"})
    outbox->append(make_event(payload));
  REQUIRE(outbox->flush(kDeadline));
  CHECK(outbox->read_after(0, 1)->size() == 1);
  CHECK(outbox->read_after(0, 16)->size() == 2);
  CHECK(outbox->read_after(0, 17)->size() == 3);
}

TEST_CASE("unacknowledged events and the epoch survive a restart", "[agent][unit]") {
  const Scratch scratch;
  Epoch epoch;
  {
    const auto outbox = open(scratch);
    epoch = outbox->epoch();
    outbox->append(make_event("kept"));
  }
  const auto outbox = open(scratch);
  CHECK(outbox->epoch() == epoch);
  CHECK(payloads(*outbox, 0) == strings({"kept"}));
}

TEST_CASE("two outboxes have two epochs", "[agent][unit]") {
  const Scratch one;
  const Scratch two;
  CHECK(open(one)->epoch() != open(two)->epoch());
}

TEST_CASE("what was acknowledged is gone, and its numbers are never given again", "[agent][unit]") {
  const Scratch scratch;
  {
    const auto outbox = open(scratch);
    outbox->append(make_event("a"));
    outbox->append(make_event("b"));
    REQUIRE(outbox->flush(kDeadline));
    outbox->acknowledge(2);
  }
  const auto outbox = open(scratch);
  CHECK(outbox->status().events == 0);
  outbox->append(make_event("c"));
  REQUIRE(outbox->flush(kDeadline));
  const auto events = outbox->read_after(0, 1 << 20);
  REQUIRE(events->size() == 1);
  CHECK(events->front().sequence == 3);
}

TEST_CASE("an acknowledgement beyond what was committed forgets nothing that comes later",
          "[agent][unit]") {
  const Scratch scratch;
  {
    const auto outbox = open(scratch);
    outbox->append(make_event("a"));
    REQUIRE(outbox->flush(kDeadline));
    outbox->acknowledge(100);
    outbox->append(make_event("b"));
  }
  CHECK(payloads(*open(scratch), 0) == strings({"b"}));
}

TEST_CASE("a reader far behind is served from disk", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.max_tail_bytes = 4;
  const auto outbox = open(scratch, options);
  for (const char* payload : {"aaa", "bbb", "ccc"}) {
    outbox->append(make_event(payload));
    REQUIRE(outbox->flush(kDeadline));
  }
  CHECK(payloads(*outbox, 0) == strings({"aaa", "bbb", "ccc"}));
  CHECK(payloads(*outbox, 2) == strings({"ccc"}));
}

TEST_CASE("at the cap routine events go before findings, and the gap is recorded",
          "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.limits.max_bytes = 1000;
  const auto outbox = open(scratch, options);
  outbox->append(make_event("finding" + std::string(293, '!'), EventPriority::kFinding));
  outbox->append(make_event("routine" + std::string(293, '.'), EventPriority::kRoutine));
  outbox->append(make_event("run" + std::string(297, '-'), EventPriority::kRun));
  outbox->append(make_event("late" + std::string(296, '-'), EventPriority::kRun));
  REQUIRE(outbox->flush(kDeadline));
  std::vector<std::string> heads;
  for (const std::string& payload : payloads(*open(scratch, options), 0))
    heads.push_back(payload.substr(0, 4));
  CHECK(heads == strings({"find", "run-", "late", "gap "}));
  CHECK(outbox->status().dropped == 1);
}

TEST_CASE("a stack is described once however many events name it", "[agent][unit]") {
  const Scratch scratch;
  const auto outbox = open(scratch);
  const StackDigest digest{sha256("stack").bytes};
  for (int i = 0; i < 3; ++i) {
    NewEvent event = make_event("run");
    event.stack = digest;
    event.stack_description = "description";
    outbox->append(std::move(event));
  }
  REQUIRE(outbox->flush(kDeadline));
  CHECK(outbox->describe(digest) == "description");
  CHECK(outbox->status().bytes == 3 * 3 + std::string("description").size());
  CHECK_FALSE(outbox->describe(StackDigest{sha256("other").bytes}).has_value());
}

TEST_CASE("descriptions of stacks never push the events out", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.limits.max_bytes = 10'000;
  const auto outbox = open(scratch, options);
  const auto digest_of = [](int i) { return StackDigest{sha256(std::to_string(i)).bytes}; };
  for (int i = 0; i < 20; ++i) {
    NewEvent event = make_event("run");
    event.stack = digest_of(i);
    event.stack_description = std::string(1000, 'd');
    outbox->append(std::move(event));
    REQUIRE(outbox->flush(kDeadline));
  }
  CHECK(payloads(*outbox, 0).size() == 20);
  CHECK(outbox->status().dropped == 0);
  CHECK(outbox->status().bytes < 6'000);
  CHECK(outbox->describe(digest_of(19)));  // the latest stay
  CHECK_FALSE(outbox->describe(digest_of(0)));
}

TEST_CASE("every commit is announced", "[agent][unit]") {
  const Scratch scratch;
  auto opened = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE(opened);
  std::atomic<int> commits{0};
  (*opened)->start({[&] { ++commits; }, make_gap});
  (*opened)->append(make_event("a"));
  REQUIRE((*opened)->flush(kDeadline));
  (*opened)->stop();
  CHECK(commits == 1);
}

TEST_CASE("over the queue's limit events are refused, counted and told as a gap", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.max_queued_bytes = 2 * (sizeof(NewEvent) + 1);
  auto outbox = Outbox::open(scratch.path("outbox.db"), options);
  REQUIRE(outbox);
  for (const char* payload : {"a", "b", "c", "d"})
    (*outbox)->append(make_event(payload));
  CHECK((*outbox)->status().dropped == 2);
  (*outbox)->start({[] {}, make_gap});
  REQUIRE((*outbox)->flush(kDeadline));
  CHECK(payloads(**outbox, 0) == strings({"a", "b", "gap of 2"}));
}

TEST_CASE("a file that is no database is refused", "[agent][unit]") {
  const Scratch scratch;
  scratch.write("outbox.db", std::string(8192, 'x'));
  const auto outbox = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE_FALSE(outbox);
  CHECK(outbox.error().code == ErrorCode::kCorrupt);
}

}  // namespace
}  // namespace assay::agent
