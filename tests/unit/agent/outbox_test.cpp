// SPDX-License-Identifier: Apache-2.0
#include "agent/outbox/outbox.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "common/base/sha256.h"
#include "tests/support/full_disk.h"
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

TEST_CASE("who hears of a commit may read at once, also of a gap", "[agent][unit]") {
  const Scratch scratch;
  auto opened = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE(opened);
  Outbox& outbox = **opened;
  std::atomic<std::size_t> read{0};
  outbox.start({[&] { read += outbox.read_after(read, 1 << 20)->size(); }, make_gap});
  NewEvent gap = make_event("");
  gap.gap = DroppedEvents{1, from_unix_ns(1), from_unix_ns(2), "a test"};
  outbox.append(make_event("a"));
  outbox.append(std::move(gap));
  REQUIRE(outbox.flush(kDeadline));
  outbox.stop();
  CHECK(read == 2);
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

TEST_CASE("a full queue drops routine events before runs, and findings last", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.max_queued_bytes = 3 * (sizeof(NewEvent) + 2);
  auto outbox = Outbox::open(scratch.path("outbox.db"), options);
  REQUIRE(outbox);
  (*outbox)->append(make_event("r1", EventPriority::kRoutine));
  (*outbox)->append(make_event("f1", EventPriority::kFinding));
  (*outbox)->append(make_event("n1", EventPriority::kRun));
  (*outbox)->append(make_event("f2", EventPriority::kFinding));  // instead of r1
  (*outbox)->append(make_event("r2", EventPriority::kRoutine));  // refused
  (*outbox)->append(make_event("f3", EventPriority::kFinding));  // instead of n1
  CHECK((*outbox)->committed() == 0);  // nothing may be forgotten before the gap is on disk
  (*outbox)->start({[] {}, make_gap});
  REQUIRE((*outbox)->flush(kDeadline));
  CHECK((*outbox)->committed() == (*outbox)->appended());
  CHECK(payloads(**outbox, 0) == strings({"f1", "f2", "f3", "gap of 3"}));
}

NewEvent make_gap_event(std::uint64_t lost, std::int64_t from_s, std::int64_t until_s) {
  const auto at = [](std::int64_t second) { return from_unix_ns(second * 1'000'000'000); };
  NewEvent event;
  event.gap = DroppedEvents{lost, at(from_s), at(until_s), "a test"};
  return event;
}

TEST_CASE("a disk that is full for a while loses nothing that fits in memory", "[agent][unit]") {
  const Scratch scratch;
  auto outbox = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE(outbox);
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::string> troubles;
  (*outbox)->start({[] {}, make_gap,
                    [&](const std::string& error) {
                      const std::lock_guard lock(mutex);
                      troubles.push_back(error);
                      changed.notify_all();
                    }});
  const auto wait_for = [&](std::size_t count) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kDeadline, [&] { return troubles.size() == count; });
  };
  (*outbox)->append(make_event("before"));
  REQUIRE((*outbox)->flush(kDeadline));
  {
    const assay::tests::FullDisk full(1);
    for (const char* payload : {"a", "b", "c"})
      (*outbox)->append(make_event(payload));
    REQUIRE(wait_for(1));
    CHECK_FALSE(troubles[0].empty());
    CHECK_FALSE((*outbox)->status().error.empty());
    CHECK((*outbox)->status().queued == 3);
    CHECK(payloads(**outbox, 0) == strings({"before"}));
  }
  REQUIRE(wait_for(2));  // by itself
  CHECK(troubles[1].empty());
  REQUIRE((*outbox)->flush(kDeadline));
  CHECK((*outbox)->status().error.empty());
  CHECK((*outbox)->status().dropped == 0);
  CHECK(payloads(**outbox, 0) == strings({"before", "a", "b", "c"}));
}

TEST_CASE("a disk that is full at the end ends the outbox all the same", "[agent][unit]") {
  const Scratch scratch;
  const auto outbox = open(scratch);
  outbox->append(make_event("kept"));
  REQUIRE(outbox->flush(kDeadline));
  const assay::tests::FullDisk full(1);
  outbox->append(make_event("lost"));
  outbox->stop();
  CHECK(outbox->status().queued == 1);
}

TEST_CASE("gaps of one reason that nobody sent yet are told as one", "[agent][unit]") {
  const Scratch scratch;
  const auto outbox = open(scratch);
  std::vector<DroppedEvents> told;
  outbox->append(make_gap_event(1, 100, 110));
  outbox->append(make_gap_event(2, 110, 120));
  outbox->append(make_gap_event(4, 5000, 5010));  // another time
  REQUIRE(outbox->flush(kDeadline));
  outbox->append(make_gap_event(8, 90, 95));
  REQUIRE(outbox->flush(kDeadline));
  CHECK(payloads(*outbox, 0) == strings({"gap of 4", "gap of 11"}));
}

TEST_CASE("a gap that may have been sent stays as it is", "[agent][unit]") {
  const Scratch scratch;
  const auto outbox = open(scratch);
  outbox->append(make_gap_event(1, 100, 110));
  REQUIRE(outbox->flush(kDeadline));
  CHECK(payloads(*outbox, 0) == strings({"gap of 1"}));  // handed out
  outbox->append(make_gap_event(2, 110, 120));
  REQUIRE(outbox->flush(kDeadline));
  CHECK(payloads(*outbox, 0) == strings({"gap of 1", "gap of 2"}));
  const auto again = open(scratch);
  again->append(make_gap_event(4, 120, 130));
  REQUIRE(again->flush(kDeadline));
  CHECK(payloads(*again, 0) == strings({"gap of 1", "gap of 2", "gap of 4"}));
}

TEST_CASE("an outbox at its cap for long tells one gap with all that was dropped",
          "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.limits.max_bytes = 20'000;
  auto opened = Outbox::open(scratch.path("outbox.db"), options);
  REQUIRE(opened);
  Outbox& outbox = **opened;
  DroppedEvents last;
  outbox.start({[] {},
                [&](const DroppedEvents& dropped) {
                  last = dropped;
                  NewEvent gap = make_gap(dropped);
                  gap.time = dropped.until;
                  return gap;
                }});
  constexpr int kEvents = 1000;
  constexpr std::int64_t kSecond = 1'000'000'000;
  for (int i = 0; i < kEvents; ++i) {
    const bool is_finding = i % 100 == 0;
    NewEvent event = make_event((is_finding ? "finding "
                                 : i % 2    ? "routine "
                                            : "run ") +
                                    std::to_string(i) + std::string(90, '.'),
                                is_finding ? EventPriority::kFinding
                                : i % 2    ? EventPriority::kRoutine
                                           : EventPriority::kRun);
    event.time = from_unix_ns(i * kSecond);
    outbox.append(std::move(event));
    if (i % 10 == 0) REQUIRE(outbox.flush(kDeadline));
  }
  REQUIRE(outbox.flush(kDeadline));
  const auto kept = payloads(outbox, 0);
  const auto count = [&](const char* head) {
    return std::count_if(kept.begin(), kept.end(),
                         [&](const std::string& payload) { return payload.starts_with(head); });
  };
  CHECK(count("finding") == 10);
  CHECK(count("gap") == 1);
  const auto events =
      static_cast<std::uint64_t>(count("finding") + count("run") + count("routine"));
  CHECK(last.events == kEvents - events);
  CHECK(outbox.status().dropped == kEvents - events);
  CHECK(last.from == from_unix_ns(1 * kSecond));  // the first routine event
  CHECK(last.until > last.from);
  CHECK(outbox.status().bytes <= options.limits.max_bytes);
  // The newest of each kind are there, the oldest of the lowest kind are not.
  CHECK(std::any_of(kept.begin(), kept.end(),
                    [](const std::string& payload) { return payload.starts_with("run 998"); }));
}

TEST_CASE("what is dropped at the cap is not sent from memory either", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.limits.max_bytes = 1000;
  const auto outbox = open(scratch, options);
  for (int i = 0; i < 8; ++i) {
    outbox->append(make_event(std::to_string(i) + std::string(299, '-')));
    REQUIRE(outbox->flush(kDeadline));
  }
  std::uint64_t gap = 0;
  std::uint64_t runs = 0;
  for (const std::string& payload : payloads(*outbox, 0))
    if (payload.starts_with("gap of "))
      gap = std::stoull(payload.substr(7));
    else
      ++runs;
  CHECK(gap > 0);
  CHECK(gap + runs == 8);
}

OpenRun make_run(const std::string& id, const char* stack) {
  OpenRun run;
  run.run_id = id;
  run.key = {{1, 0xFFFFFFFFFFFFFFFF, 3, 4}, 5};
  run.first_process = {6, BootTime(7)};
  run.stack = StackDigest{sha256(stack).bytes};
  run.started = from_unix_ns(8);
  run.started_boot = BootTime(9);
  return run;
}

void tell(Outbox& outbox, RunChange change) {
  NewEvent event = make_event("change");
  event.change = std::move(change);
  outbox.append(std::move(event));
}

TEST_CASE("what the events left open comes back whole", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.boot_id = "boot-1";
  {
    const auto outbox = open(scratch, options);
    for (const char* id : {"a", "b", "c"})
      tell(*outbox, make_run(id, "before"));
    tell(*outbox, RunClosed{"a"});
    tell(*outbox, make_run("c", "other"));
    tell(*outbox, RunsMoved{make_run("", "before").stack, make_run("", "after").stack});
    REQUIRE(outbox->flush(kDeadline));
    outbox->acknowledge(6);
  }
  auto outbox = Outbox::open(scratch.path("outbox.db"), options);
  REQUIRE(outbox);
  const auto runs = (*outbox)->open_runs(OfBoot::kThis);
  REQUIRE(runs);
  REQUIRE(runs->size() == 2);
  const OpenRun& run = runs->at(0);
  const OpenRun expected = make_run("b", "after");
  CHECK(run.run_id == expected.run_id);
  CHECK(run.key == expected.key);
  CHECK(run.first_process == expected.first_process);
  CHECK(run.stack == expected.stack);
  CHECK(run.started == expected.started);
  CHECK(run.started_boot == expected.started_boot);
  CHECK(runs->at(1).stack == make_run("", "other").stack);
  CHECK((*outbox)->open_runs(OfBoot::kOther)->empty());
  outbox->reset();
  options.boot_id = "boot-2";
  const auto later = Outbox::open(scratch.path("outbox.db"), options);
  CHECK((*later)->open_runs(OfBoot::kThis)->empty());
  CHECK((*later)->open_runs(OfBoot::kOther)->size() == 2);
}

TEST_CASE("until when an outbox was kept is known to the next life", "[agent][unit]") {
  const Scratch scratch;
  OutboxOptions options;
  options.boot_id = "boot-1";
  options.opened = {from_unix_ns(4'000), BootTime(1'000)};
  CHECK_FALSE((*Outbox::open(scratch.path("outbox.db"), options))->kept_until());
  {
    // A life that ended before it kept anything counts from when the file was made.
    auto outbox = Outbox::open(scratch.path("outbox.db"), options);
    REQUIRE(outbox);
    REQUIRE((*outbox)->kept_until());
    CHECK((*outbox)->kept_until()->moment.boot == BootTime(1'000));
    (*outbox)->start({[] {}, make_gap, [](const std::string&) {}, [] {},
                      [] {
                        return Moment{from_unix_ns(5'000), BootTime(2'000)};
                      }});
    (*outbox)->append(make_event("a"));  // of time 1,000
    REQUIRE((*outbox)->flush(kDeadline));
  }
  const auto again = Outbox::open(scratch.path("outbox.db"), options);
  REQUIRE((*again)->kept_until());
  CHECK((*again)->kept_until()->moment.wall == from_unix_ns(5'000));
  CHECK((*again)->kept_until()->moment.boot == BootTime(2'000));
  CHECK((*again)->kept_until()->is_of_this_boot);
}

TEST_CASE("a damaged outbox is set aside and a new epoch begins", "[agent][unit]") {
  const Scratch scratch;
  Epoch epoch;
  {
    const auto outbox = open(scratch);
    epoch = outbox->epoch();
    for (int i = 0; i < 200; ++i)
      outbox->append(make_event(std::string(500, 'x')));
    REQUIRE(outbox->flush(kDeadline));
  }
  const auto size = std::filesystem::file_size(scratch.path("outbox.db"));
  for (const std::uint64_t at : {std::uint64_t{0}, size / 2 / 4096 * 4096}) {
    CAPTURE(at);
    std::fstream file(scratch.path("outbox.db"), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file << std::string(4096, '\x7e');
    file.close();
    auto outbox = Outbox::open(scratch.path("outbox.db"), {});
    REQUIRE(outbox);
    REQUIRE((*outbox)->set_aside());
    CHECK(std::filesystem::file_size((*outbox)->set_aside()->path) == size);
    CHECK((*outbox)->is_new());
    CHECK((*outbox)->epoch() != epoch);
    epoch = (*outbox)->epoch();
    (*outbox)->start({[] {}, make_gap});
    for (int i = 0; i < 200; ++i)
      (*outbox)->append(make_event(std::string(500, 'y')));
    REQUIRE((*outbox)->flush(kDeadline));
    (*outbox)->stop();
  }
  CHECK_FALSE((*Outbox::open(scratch.path("outbox.db"), {}))->set_aside());
}

TEST_CASE("of damaged files the newest four are kept", "[agent][unit]") {
  const Scratch scratch;
  for (int i = 1; i <= 6; ++i) {
    scratch.write("outbox.db", std::string(5000 + static_cast<std::size_t>(i), 'x'));
    REQUIRE(Outbox::open(scratch.path("outbox.db"), {}));
  }
  for (int i = 1; i <= 6; ++i)
    CHECK(std::filesystem::exists(scratch.path("outbox.db.corrupt-" + std::to_string(i))) ==
          (i > 2));
}

TEST_CASE("the file of a long outage shrinks again", "[agent][unit]") {
  const Scratch scratch;
  const auto size = [&] { return std::filesystem::file_size(scratch.path("outbox.db")); };
  {
    const auto outbox = open(scratch);
    for (int i = 0; i < 60; ++i)
      outbox->append(make_event(std::string(1 << 20, 'x')));
    REQUIRE(outbox->flush(kDeadline));
  }
  CHECK(size() > (60U << 20));
  for (int i = 0; i < 6; ++i) {
    const auto outbox = open(scratch);
    outbox->acknowledge(static_cast<std::uint64_t>(60 + i));
    outbox->append(make_event("next"));
    REQUIRE(outbox->flush(kDeadline));
  }
  CHECK(size() < (24U << 20));
}

TEST_CASE("an outbox of a newer version is refused, not set aside", "[agent][unit]") {
  const Scratch scratch;
  REQUIRE(Outbox::open(scratch.path("outbox.db"), {}));
  REQUIRE(sqlite::Database::open(scratch.path("outbox.db"), {})->execute("PRAGMA user_version=99"));
  const auto outbox = Outbox::open(scratch.path("outbox.db"), {});
  REQUIRE_FALSE(outbox);
  CHECK(outbox.error().code == ErrorCode::kUnsupported);
  CHECK(outbox.error().text().find("outbox.db") != std::string::npos);
}

}  // namespace
}  // namespace assay::agent
