// SPDX-License-Identifier: Apache-2.0
// Gaps and full states, on the whole commit loop.
#include "common/base/sha256.h"
#include "tests/unit/collector/commit_bench.h"

namespace assay::collector {
namespace {

using catalog::FindingKind;
using namespace tests;

std::shared_ptr<const catalog::Catalog> approving() {
  return make_catalog(1, {base("debian:12", catalog::BaseStatus::kApproved, {1})});
}

struct States : Bench {
  catalog::Stack on = stack(kNode, {layer(1)});

  States() : Bench(approving()) {}

  AgentInfo agent(const Epoch& epoch = kEpoch, std::uint64_t acknowledged = 0) const {
    AgentInfo info;
    info.epoch = epoch;
    info.boot_id = "boot-1";
    info.acknowledged = acknowledged;
    return info;
  }

  RunPresent present(int n) const { return {run_started(n, catalog::digest_of(on), 5), {}}; }

  /// Tells a whole state of these runs.
  BatchOutcome tell(const std::vector<int>& runs, const Epoch& epoch = kEpoch) {
    Batch batch;
    batch.stacks.push_back(on);
    batch.events.push_back(event(StateBegun{}));
    for (const int n : runs)
      batch.events.push_back(event(present(n)));
    batch.events.push_back(event(StateCompleted{runs.size(), 0}));
    auto outcome = record(std::move(batch), epoch);
    REQUIRE(outcome);
    REQUIRE(loop->drain(std::chrono::seconds(30)));
    return *outcome;
  }

  std::vector<std::string> running() {
    std::vector<std::string> ids;
    const auto page = store->list_runs({}, std::nullopt, 1000);
    for (const auto& run : page->rows)
      ids.push_back(run.run_id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  std::vector<FindingView> gaps() {
    FindingFilter filter;
    filter.kind = FindingKind::kEvidenceGap;
    return store->list_findings(filter, std::nullopt, 100)->rows;
  }
};

std::vector<std::string> ids(std::initializer_list<int> runs) {
  std::vector<std::string> all;
  for (const int n : runs)
    all.push_back(run_id(n));
  return all;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a first connection and a plain reconnection ask for nothing", "[collector][unit]") {
  States here;
  CHECK_FALSE(here.connect(here.agent()).state_wish);
  here.start_run(1, here.on);
  const auto again = here.connect(here.agent(kEpoch, 1));
  CHECK(again.acknowledged == 1);
  CHECK_FALSE(again.state_wish);
  CHECK(here.gaps().empty());
}

TEST_CASE("a new outbox is a gap from its last event on, and one full state closes it",
          "[collector][unit]") {
  States here;
  here.connect(here.agent());
  for (const int n : {1, 2})
    here.start_run(n, here.on);
  const std::string last = to_rfc3339(here.clock.wall_now());
  here.clock.advance(std::chrono::hours(2));
  const Epoch later(16, 'f');
  const auto opened = here.connect(here.agent(later));
  REQUIRE(opened.state_wish);
  REQUIRE(here.gaps().size() == 1);
  CHECK(contains(here.gaps()[0].reason, "from " + last));
  CHECK(contains(here.gaps()[0].reason, "until " + to_rfc3339(here.clock.wall_now())));
  CHECK(contains(here.gaps()[0].reason, "is asked for"));
  CHECK(here.nodes->nodes()[0].is_state_wanted);

  // Asked again on the next connection, with the same number and without another finding.
  CHECK(here.connect(here.agent(later)).state_wish->request == opened.state_wish->request);
  CHECK(here.gaps().size() == 1);

  here.sequence = 0;
  const auto told = here.tell({2, 3}, later);
  CHECK_FALSE(told.state_wish);
  CHECK(here.running() == ids({2, 3}));
  const auto ended = here.store->trace(run_id(1), "");
  CHECK(ended->run.ended_ns == to_unix_ns(here.clock.wall_now()));
  CHECK(here.store->trace(run_id(3), "")->run.is_late);
  CHECK_FALSE(here.store->trace(run_id(2), "")->run.is_late);
  REQUIRE(here.gaps().size() == 1);
  CHECK(contains(here.gaps()[0].reason, "added 1 run and ended 1"));
  CHECK(here.store->impact("debian:12")->running == 2);
  CHECK(here.loop->reconciler_counts().states == 1);
  CHECK_FALSE(here.nodes->nodes()[0].is_state_wanted);
  CHECK_FALSE(here.connect(here.agent(later, here.sequence)).state_wish);
}

TEST_CASE("what another store acknowledged is a gap with its number of events",
          "[collector][unit]") {
  States here;
  const auto opened = here.connect(here.agent(kEpoch, 500));
  CHECK(opened.acknowledged == 500);  // they will never come
  REQUIRE(opened.state_wish);
  REQUIRE(here.gaps().size() == 1);
  CHECK(contains(here.gaps()[0].reason, "500 or more"));
  here.sequence = 500;
  here.tell({7});
  CHECK(here.running() == ids({7}));
  CHECK(here.gaps().size() == 1);
}

TEST_CASE("a store that went back to a backup asks for what it lost", "[collector][unit]") {
  States here;
  here.connect(here.agent());
  here.start_run(1, here.on);
  const auto opened = here.connect(here.agent(kEpoch, 40));
  CHECK(opened.acknowledged == 40);
  CHECK(opened.state_wish);
  REQUIRE(here.gaps().size() == 1);
  CHECK(contains(here.gaps()[0].reason, "39 or more"));
}

TEST_CASE("gaps that come while one waits for its answer are the same finding",
          "[collector][unit]") {
  States here;
  here.connect(here.agent());
  here.start_run(1, here.on);
  for (char epoch = 'f'; epoch < 'k'; ++epoch)
    here.connect(here.agent(Epoch(16, epoch), 10));
  REQUIRE(here.gaps().size() == 1);
  CHECK(contains(here.gaps()[0].reason, "50 or more"));
  CHECK(here.loop->reconciler_counts().requests == 1);
}

TEST_CASE("events that the agent dropped at its limit ask for a state and open no finding",
          "[collector][unit]") {
  States here;
  here.start_run(1, here.on);
  Event later = here.event(run_started(2, catalog::digest_of(here.on), 6));
  later.sequence = here.sequence = 10;
  later.skipped = 8;
  const auto outcome = here.record({{later}, {}});
  REQUIRE(outcome);
  REQUIRE(outcome->state_wish);
  CHECK(here.gaps().empty());  // the agent says it itself, in an EvidenceGap
  here.tell({2});
  CHECK(here.running() == ids({2}));
}

TEST_CASE("a node that was booted since is asked what runs there", "[collector][unit]") {
  States here;
  here.connect(here.agent());
  here.start_run(1, here.on);
  AgentInfo booted = here.agent(kEpoch, 1);
  booted.boot_id = "boot-2";
  CHECK(here.connect(booted).state_wish);
  here.tell({});
  CHECK(here.running().empty());
  CHECK(here.gaps().empty());
  CHECK_FALSE(here.connect(booted).state_wish);
}

TEST_CASE("a state told by the agent on its own reconciles as well", "[collector][unit]") {
  States here;
  here.start_run(1, here.on);
  here.start_run(2, here.on);
  here.tell({2});
  CHECK(here.running() == ids({2}));
}

TEST_CASE("runs that start or end while a state is told are neither lost nor ended",
          "[collector][unit]") {
  States here;
  for (const int n : {1, 2})
    here.start_run(n, here.on);
  REQUIRE(here.record({{here.event(StateBegun{})}, {}}));
  here.start_run(3, here.on);
  REQUIRE(here.record({{here.event(here.present(1))}, {}}));
  here.end_run(1);
  REQUIRE(here.record({{here.event(here.present(2)), here.event(StateCompleted{2, 0})}, {}}));
  REQUIRE(here.loop->drain(std::chrono::seconds(30)));
  CHECK(here.running() == ids({2, 3}));
  CHECK(here.loop->reconciler_counts().ended == 0);
}

TEST_CASE("a run that was held for ended and is told runs on, with its findings",
          "[collector][unit]") {
  States here;
  here.on = stack(kNode, {layer(9)});
  here.start_run(1, here.on);
  here.tell({});
  CHECK(here.running().empty());
  CHECK(here.open_kinds().empty());
  here.tell({1});
  CHECK(here.running() == ids({1}));
  CHECK(here.open_kinds() == std::vector{FindingKind::kUnknownBase});
  CHECK(here.loop->reconciler_counts().reopened == 1);
}

TEST_CASE("a present run stands on the stack and has the names of now", "[collector][unit]") {
  States here;
  here.start_run(1, stack(kNode, {layer(9)}));
  CHECK(here.open_kinds() == std::vector{FindingKind::kUnknownBase});
  RunPresent now = here.present(1);
  now.run.names.name = "renamed";
  REQUIRE(here.record(
      {{here.event(StateBegun{}), here.event(now), here.event(StateCompleted{1, 0})}, {here.on}}));
  const auto run = here.store->trace(run_id(1), "")->run;
  CHECK(run.names.name == "renamed");
  CHECK(run.verdict.status == catalog::VerdictStatus::kApproved);
  CHECK(here.open_kinds().empty());
}

TEST_CASE("a full state brings names, claims and conflicts that were lost", "[collector][unit]") {
  States here;
  here.on.layers[0].evidence.claimed = DiffId{sha256("diff").bytes};
  RunPresent now = here.present(1);
  now.run.names.config_digest = ConfigDigest{sha256("config").bytes};
  now.claim_conflicts = {"docker's record: 3 layers"};
  const auto told = [&] {
    return here.record(
        {{here.event(StateBegun{}), here.event(now), here.event(StateCompleted{1, 0})}, {here.on}});
  };
  REQUIRE(told());  // a run that was not known
  auto trace = here.store->trace(run_id(1), "");
  CHECK(trace->run.names.config_digest == now.run.names.config_digest);
  CHECK(trace->stack.layers[0].evidence.claimed == here.on.layers[0].evidence.claimed);
  CHECK(here.open_kinds() == std::vector{FindingKind::kMismatch});

  now.run.names.manifest_digest = ManifestDigest{sha256("manifest").bytes};
  now.claim_conflicts.clear();  // an agent that has not looked again yet takes nothing back
  REQUIRE(told());
  trace = here.store->trace(run_id(1), "");
  CHECK(trace->run.names.manifest_digest == now.run.names.manifest_digest);
  CHECK(here.open_kinds() == std::vector{FindingKind::kMismatch});
}

TEST_CASE("a state with a hole in it ends nothing and is asked for anew", "[collector][unit]") {
  States here;
  here.start_run(1, here.on);
  REQUIRE(here.record({{here.event(StateBegun{})}, {}}));
  Event completed = here.event(StateCompleted{1, 0});
  completed.sequence = ++here.sequence;
  completed.skipped = 1;
  const auto torn = here.record({{completed}, {}});
  REQUIRE(torn->state_wish);
  CHECK(here.running() == ids({1}));
  CHECK(here.loop->reconciler_counts().torn == 1);
  CHECK_FALSE(here.tell({1}).state_wish);
}

TEST_CASE("a state that tells fewer runs than it says ends nothing", "[collector][unit]") {
  States here;
  here.start_run(1, here.on);
  const auto first =
      here.record({{here.event(StateBegun{}), here.event(StateCompleted{3, 0})}, {}});
  REQUIRE(first->state_wish);
  CHECK(here.running() == ids({1}));
  const auto second =
      here.record({{here.event(StateBegun{}), here.event(StateCompleted{3, 0})}, {}});
  // Another number: the agent would take the same one for answered.
  CHECK(second->state_wish->request > first->state_wish->request);
}

TEST_CASE("the runs that a state ends are ended in bounded steps, across a restart",
          "[collector][unit]") {
  States here;
  for (int n = 1; n <= 9; ++n)
    here.start_run(n, here.on);
  Batch whole{
      {here.event(StateBegun{}), here.event(here.present(9)), here.event(StateCompleted{1, 0})},
      {}};
  REQUIRE(here.record(std::move(whole)));
  here.start(approving());  // wherever the ending stood
  here.start_run(10, here.on);
  REQUIRE(here.loop->drain(std::chrono::seconds(30)));
  CHECK(here.running() == ids({9, 10}));
  CHECK(here.store->impact("debian:12")->running == 2);
}

TEST_CASE("a state of one node touches no node of the same name elsewhere", "[collector][unit]") {
  States here;
  here.start_run(1, here.on);
  const NodeKey elsewhere{"other", kNode.node};
  const catalog::Stack theirs = stack(elsewhere, {layer(1)});
  std::promise<Result<BatchOutcome>> committed;
  Batch batch{{{1, 1, 0, StateBegun{}}, {2, 1, 0, StateCompleted{0, 0}}}, {theirs}};
  REQUIRE(here.loop->record(
      elsewhere, kEpoch, std::move(batch), 100,
      [&](Result<BatchOutcome> outcome) { committed.set_value(std::move(outcome)); }));
  REQUIRE(committed.get_future().get());
  REQUIRE(here.loop->drain(std::chrono::seconds(30)));
  CHECK(here.running() == ids({1}));
}

TEST_CASE("two agents of one identity are one finding that stays", "[collector][unit]") {
  States here;
  REQUIRE(here.loop->identity_conflict(kNode, "from a and from b"));
  REQUIRE(here.loop->identity_conflict(kNode, "from a and from c"));
  REQUIRE(here.loop->drain(std::chrono::seconds(30)));
  const auto findings = here.store->list_findings({}, std::nullopt, 10)->rows;
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].kind == FindingKind::kIdentityConflict);
  CHECK(findings[0].reason == "from a and from c");
  CHECK(findings[0].node == kNode);
}

}  // namespace
}  // namespace assay::collector
