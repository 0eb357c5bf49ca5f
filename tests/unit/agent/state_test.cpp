// SPDX-License-Identifier: Apache-2.0
// Full states: every open run told once more.
#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

using namespace assay;
using namespace assay::agent;
using namespace assay::agent::tests;
using std::chrono::seconds;

namespace {

/// The kinds of events that were recorded, in order: b(egun), p(resent), c(ompleted), s(tarted),
/// e(nded), x for any other.
std::string order(const Recorder& journal) {
  std::string kinds;
  for (const AgentEvent& event : journal.events) {
    if (std::holds_alternative<StateBegun>(event))
      kinds += 'b';
    else if (std::holds_alternative<RunPresent>(event))
      kinds += 'p';
    else if (std::holds_alternative<StateCompleted>(event))
      kinds += 'c';
    else if (std::holds_alternative<RunStarted>(event))
      kinds += 's';
    else if (std::holds_alternative<RunEnded>(event))
      kinds += 'e';
    else
      kinds += 'x';
  }
  return kinds;
}

}  // namespace

TEST_CASE("a state that was asked for is told after the next sweep, with the stacks of now",
          "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(10));
  start.executable = "/bin/web";
  start.arguments = {"web", "--port"};
  f.auditor.on_start(start);
  f.auditor.on_start(container(2, seconds(11)));
  f.auditor.on_layer(shape_of(start.layers[0], true));
  const StackDigest now = f.journal.all<StackAdvanced>()[0].to;
  f.journal.events.clear();
  f.journal.stacks.clear();

  f.auditor.on_state_request(7);
  CHECK(f.source.sweeps == 1);
  f.auditor.on_sweep(sweep(seconds(99), {start.key}));  // began before we were asked
  CHECK(order(f.journal) == "e");
  f.auditor.on_sweep(sweep(seconds(100), {start.key}));
  CHECK(order(f.journal) == "ebpc");
  CHECK(f.journal.all<StateBegun>()[0].request == 7);
  const RunStarted present = f.journal.all<RunPresent>()[0].run;
  CHECK(present.run_id == make_run_id("boot-1", start.key, start.process.key));
  CHECK(present.stack == now);
  CHECK(catalog::digest_of(*f.journal.stacks[2]) == now);
  CHECK(present.start.executable == "/bin/web");
  CHECK(present.start.arguments == start.arguments);
  CHECK_FALSE(present.is_late);
  CHECK(f.journal.all<StateCompleted>()[0].runs == 1);

  f.auditor.on_state_request(7);  // told already
  f.clock.boot += seconds(60);
  f.auditor.on_sweep(sweep(f.clock.boot, {start.key}));
  CHECK(order(f.journal) == "ebpc");
}

TEST_CASE("a state of many runs is told in turns, in order with what happens meanwhile",
          "[agent][unit]") {
  Fixture f;
  AuditorConfig config;
  config.runs_per_turn = 2;
  Auditor auditor = f.make(config);
  std::vector<RunKey> live;
  for (std::uint64_t n = 1; n <= 5; ++n) {
    auditor.on_start(container(n, seconds(10)));
    live.push_back(container(n, seconds(10)).key);
  }
  f.journal.events.clear();
  auditor.on_state_request(1);
  auditor.on_sweep(sweep(seconds(100), live));
  CHECK(order(f.journal) == "bpp");
  auditor.on_start(container(6, seconds(101)));
  auditor.on_tick();
  CHECK(order(f.journal) == "bppspp");
  // Those that end before their turn are told as ended and as nothing else.
  auditor.on_sweep(sweep(seconds(102), {container(6, seconds(101)).key}));
  auditor.on_tick();
  CHECK(order(f.journal) == "bppsppeeeeec");
  CHECK(f.journal.all<StateCompleted>()[0].runs == 4);
}

TEST_CASE("states have a least distance, and the newest request is answered", "[agent][unit]") {
  Fixture f;
  f.auditor.on_state_request(1);
  f.auditor.on_sweep(sweep(seconds(100), {}));
  CHECK(order(f.journal) == "bc");
  f.auditor.on_state_request(2);
  f.auditor.on_state_request(3);
  f.auditor.on_sweep(sweep(seconds(101), {}));
  CHECK(order(f.journal) == "bc");
  f.clock.boot += seconds(10);
  const int sweeps = f.source.sweeps;
  f.auditor.on_tick();
  CHECK(f.source.sweeps == sweeps + 1);
  f.auditor.on_sweep(sweep(f.clock.boot, {}));
  CHECK(order(f.journal) == "bcbc");
  CHECK(f.journal.all<StateBegun>()[1].request == 3);
}

TEST_CASE("a new memory beside an old outbox tells the state by itself, once", "[agent][unit]") {
  Fixture f;
  f.open_runs.complete = false;
  {
    Auditor interrupted = f.make();  // dies before it could tell
    interrupted.resume();
  }
  Auditor again = f.make();
  again.resume();
  ContainerStart swept = container(1, seconds(10));
  swept.cause = StartCause::kSweep;
  again.on_start(swept);
  again.on_sweep(sweep(seconds(50), {swept.key}));
  CHECK(order(f.journal) == "sbpc");
  CHECK(f.journal.all<StateBegun>()[0].request == 0);
  Auditor later = f.make();
  later.resume();
  later.on_start(swept);
  f.clock.boot += seconds(60);
  later.on_sweep(sweep(f.clock.boot, {swept.key}));
  CHECK(order(f.journal) == "sbpc");
}

TEST_CASE("runs that live but were not told of yet after a restart are part of the state",
          "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  const RunStarted before = f.journal.all<RunStarted>()[0];
  Auditor again = f.make();
  again.resume();
  again.on_state_request(1);
  SweepCompleted blind = sweep(seconds(100), {});
  blind.untold = {start.key};
  again.on_sweep(blind);
  REQUIRE(f.journal.all<RunPresent>().size() == 1);
  CHECK(f.journal.all<RunPresent>()[0].run.run_id == before.run_id);
  CHECK(f.journal.all<RunPresent>()[0].run.stack == before.stack);
  CHECK(f.journal.all<StateCompleted>()[0].runs == 1);
}

TEST_CASE("facts beyond their limit are left out of a state, runs are not", "[agent][unit]") {
  Fixture f;
  AuditorConfig config;
  ContainerStart start = container(1, seconds(10));
  start.executable = "/bin/web";
  ContainerStart bare = start;
  bare.layers.clear();
  config.max_fact_bytes = memory_of(bare);
  Auditor auditor = f.make(config);
  auditor.on_start(start);
  ContainerStart second = container(2, seconds(11));
  second.executable = "/bin/web";
  auditor.on_start(second);
  auditor.on_state_request(1);
  auditor.on_sweep(sweep(seconds(100), {start.key, second.key}));
  const auto present = f.journal.all<RunPresent>();
  REQUIRE(present.size() == 2);
  int with_facts = 0;
  for (const RunPresent& one : present) {
    with_facts += one.run.start.executable == "/bin/web" ? 1 : 0;
    CHECK(one.run.start.process.key.tgid > 1000);
  }
  CHECK(with_facts == 1);
  // An end gives the room back.
  auditor.on_sweep(sweep(seconds(101), {second.key}));
  auditor.on_start(container(3, seconds(103)));
  f.journal.events.clear();
  f.clock.boot += seconds(60);
  auditor.on_state_request(2);
  auditor.on_sweep(sweep(f.clock.boot, {second.key, container(3, seconds(103)).key}));
  CHECK(f.journal.all<RunPresent>().size() == 2);
}
