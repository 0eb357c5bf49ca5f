// SPDX-License-Identifier: Apache-2.0
#include "agent/app/journal.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "assay/v1/agent.pb.h"
#include "common/base/sha256.h"
#include "tests/unit/agent/fakes.h"
#include "tests/unit/agent/scratch.h"

namespace assay::agent {
namespace {

using tests::FakeClock;
using tests::Scratch;
using namespace std::chrono_literals;

constexpr auto kDeadline = 20s;
constexpr std::uint64_t kCap = 64 << 10;

/// A journal in front of a real outbox with a small cap, and what is left in it.
struct Fixture {
  Fixture() {
    OutboxOptions options;
    options.limits.max_bytes = kCap;
    options.boot_id = "boot-1";
    outbox = Outbox::open(scratch.path("outbox.db"), options).value();
    journal = std::make_unique<OutboxJournal>(*outbox, clock, RecordingLimits{});
    outbox->start({[] {}, [this](const DroppedEvents& gap) { return journal->make_gap(gap); }});
  }

  RunStarted run(int number, const char* stack, catalog::VerdictStatus status) {
    RunStarted event;
    event.run_id = std::to_string(number);
    event.started = clock.wall_now() + std::chrono::seconds(number);
    event.start.executable = std::string(200, 'x');
    event.stack = StackDigest{sha256(stack).bytes};
    event.verdict.status = status;
    return event;
  }
  void record(AgentEvent event) { journal->record(std::move(event), nullptr); }
  std::vector<assay::v1::Event> left() {
    REQUIRE(outbox->flush(kDeadline));
    std::vector<assay::v1::Event> events;
    const auto all = outbox->read_after(0, 1 << 24);
    REQUIRE(all);
    for (const OutgoingEvent& event : *all)
      REQUIRE(events.emplace_back().ParseFromString(event.payload));
    return events;
  }

  Scratch scratch;
  FakeClock clock;
  std::unique_ptr<Outbox> outbox;
  std::unique_ptr<OutboxJournal> journal;
};

TEST_CASE("at the cap each bad stack keeps one run, however many started", "[agent][unit]") {
  using enum catalog::VerdictStatus;
  Fixture f;
  f.record(f.run(0, "rare", kUnknown));
  for (int i = 1; i <= 1000; ++i) {
    f.record(f.run(i, "usual", kRevoked));
    if (i % 50 == 0) REQUIRE(f.outbox->flush(kDeadline));
  }
  std::map<std::string, int> by_stack;
  std::vector<assay::v1::EvidenceGap> gaps;
  for (const auto& event : f.left()) {
    if (event.has_run_started()) ++by_stack[event.run_started().stack()];
    if (event.has_evidence_gap()) gaps.push_back(event.evidence_gap());
  }
  const auto raw = [](const char* stack) { return std::string(sha256(stack).raw()); };
  CHECK(by_stack[raw("rare")] == 1);
  CHECK(by_stack[raw("usual")] > 1);
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].lost() ==
        1001 - static_cast<std::uint64_t>(by_stack[raw("rare")] + by_stack[raw("usual")]));
  // The first revoked run was kept as the finding: the second is the first that went.
  CHECK(gaps[0].from_ns() == to_unix_ns(f.run(2, "", kRevoked).started));
  CHECK(gaps[0].until_ns() < to_unix_ns(f.run(1000, "", kRevoked).started));
  CHECK(gaps[0].reason().find("limit") != std::string::npos);
}

TEST_CASE("execs go before any run at the cap", "[agent][unit]") {
  Fixture f;
  f.record(f.run(1, "a", catalog::VerdictStatus::kApproved));
  for (int i = 0; i < 500; ++i) {
    ExecSeen exec;
    exec.run_id = "1";
    exec.time = f.clock.wall_now();
    exec.exec.executable = std::string(200, 'x');
    f.record(exec);
  }
  const auto left = f.left();
  CHECK(left.front().has_run_started());
  CHECK(left.size() < 502);
  CHECK(std::any_of(left.begin(), left.end(),
                    [](const assay::v1::Event& event) { return event.has_exec_seen(); }));
}

TEST_CASE("secrets in arguments and labels that stay never reach the outbox", "[agent][unit]") {
  Fixture f;
  f.journal->set_limits({true, 1024, Redactor::create({{"password"}, {}}).value(),
                         LabelRules::create({"team"}).value()});
  const std::vector<std::string> arguments{"psql", "--password", "hunter2"};
  RunStarted started = f.run(1, "a", catalog::VerdictStatus::kApproved);
  started.start.arguments = arguments;
  started.names.labels = {{"team", "blue"}, {"customer", "hunter2"}};
  f.record(started);
  f.record(RunPresent{started, {}, {}});
  f.record(RunNamed{"1", started.names});
  ExecSeen exec;
  exec.run_id = "1";
  exec.time = f.clock.wall_now();
  exec.exec.arguments = arguments;
  f.record(exec);
  const auto left = f.left();
  REQUIRE(left.size() == 4);
  for (const auto& event : left) {
    CHECK(event.SerializeAsString().find("hunter2") == std::string::npos);
    CHECK(event.SerializeAsString().find(event.has_run_named() ? "blue" : "***") !=
          std::string::npos);
  }
}

TEST_CASE("a layer changed under a run is told as a finding, each time", "[agent][unit]") {
  StackAdvanced moved{StackDigest{sha256("a").bytes}, StackDigest{sha256("b").bytes}, {}};
  CHECK(priority_of(moved) == EventPriority::kRun);
  moved.is_of_running = true;
  CHECK(priority_of(moved) == EventPriority::kFinding);
}

TEST_CASE("what is recorded decides what is open", "[agent][unit]") {
  Fixture f;
  f.record(f.run(1, "a", catalog::VerdictStatus::kApproved));
  f.record(f.run(2, "a", catalog::VerdictStatus::kApproved));
  f.record(RunEnded{"1", f.clock.wall_now(), false});
  f.record(StackAdvanced{StackDigest{sha256("a").bytes}, StackDigest{sha256("b").bytes}, {}});
  f.outbox->stop();
  const auto open = f.journal->load();
  REQUIRE(open.size() == 1);
  CHECK(open[0].run_id == "2");
  CHECK(open[0].stack == StackDigest{sha256("b").bytes});
  CHECK(open[0].started == f.run(2, "a", {}).started);
}

}  // namespace
}  // namespace assay::agent
