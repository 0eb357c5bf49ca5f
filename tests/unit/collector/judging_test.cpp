// SPDX-License-Identifier: Apache-2.0
// The whole commit loop on a real store, with a clock that stands still.
#include <future>

#include "tests/support/full_disk.h"
#include "tests/unit/collector/commit_bench.h"

namespace assay::collector {
namespace {

using catalog::BaseStatus;
using catalog::FindingKind;
using namespace tests;

const std::vector<FindingKind> kNothing;

std::shared_ptr<const catalog::Catalog> debian(std::uint64_t sequence, BaseStatus status) {
  return make_catalog(sequence, {base("debian:12", status, {1})});
}

TEST_CASE("a run on an approved base opens no finding", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  CHECK(bench.start_run(1, stack(kNode, {layer(1), layer(2)})) == 1);
  CHECK(bench.open_kinds() == kNothing);
  const auto run = bench.store->trace(run_id(1), "")->run;
  CHECK(run.verdict.status == catalog::VerdictStatus::kApproved);
  CHECK(run.verdict.base_name() == "debian:12");
  CHECK(run.verdict.application_layers == 1);
}

TEST_CASE("an unknown base is a finding until the run ends", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(9)}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnknownBase});
  bench.end_run(1);
  CHECK(bench.open_kinds() == kNothing);
  const auto trace = bench.store->trace(run_id(1), "");
  REQUIRE(trace->findings.size() == 1);
  CHECK(trace->findings[0].resolved_reason == "the run ended");
}

TEST_CASE("a revocation reaches runs that already run, and resolves as they end",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  for (int n = 1; n <= 5; ++n)
    bench.start_run(n, stack(kNode, {layer(1), layer(static_cast<std::uint8_t>(10 + n))}));
  bench.end_run(5);
  bench.change_catalog(debian(2, BaseStatus::kRevoked));
  CHECK(bench.open_kinds() == std::vector(4, FindingKind::kRevokedBase));
  const auto findings = bench.store->list_findings({}, std::nullopt, 10);
  CHECK(findings->rows[0].base == "debian:12");
  CHECK(bench.store->trace(run_id(5), "")->run.verdict.status == catalog::VerdictStatus::kRevoked);
  for (int n = 1; n <= 4; ++n)
    bench.end_run(n);
  CHECK(bench.open_kinds() == kNothing);
}

TEST_CASE("a noisy run is one finding per budget, until it is quiet or ends", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1)}));
  const std::int64_t now_ns = to_unix_ns(bench.clock.wall_now());
  RunNoisy execs{run_id(1), "execs", now_ns, now_ns, 1, 200, false};
  REQUIRE(bench.record({{bench.event(execs)}, {}}));
  execs.dropped = 7;
  const RunNoisy starts{run_id(1), "starts", now_ns, now_ns, 3, 50, false};
  REQUIRE(bench.record({{bench.event(execs), bench.event(starts)}, {}}));
  CHECK(bench.open_kinds() == std::vector(2, FindingKind::kNoisy));
  execs.dropped = 9;
  execs.is_over = true;
  REQUIRE(bench.record({{bench.event(execs)}, {}}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kNoisy});
  bench.end_run(1);
  CHECK(bench.open_kinds() == kNothing);
  REQUIRE(bench.record({{bench.event(starts)}, {}}));  // of a run that has ended: nothing to do
  CHECK(bench.open_kinds() == kNothing);
  const auto findings = bench.store->trace(run_id(1), "")->findings;
  REQUIRE(findings.size() == 2);
  for (const auto& finding : findings) {
    const bool is_execs = finding.subject == "execs";
    CHECK(finding.resolved_reason ==
          (is_execs ? "the run keeps to its budget again" : "the run ended"));
    CHECK(finding.reason.find(is_execs ? "more than 200 executed programs a second"
                                       : "more new roots at once than the 50 that may wait") == 0);
    CHECK(finding.reason.find(is_execs ? "9 execs were not recorded"
                                       : "3 starts were not recorded") != std::string::npos);
  }
}

TEST_CASE("a foreign executable is one finding per file, which stays after the run's end",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1)}));
  ExecSeen seen;
  seen.run_id = run_id(1);
  seen.exec.executable = "/bin/ls";
  seen.exec.path = "/bin/ls";
  seen.exec.origin = catalog::ExecOrigin::kLayer;
  REQUIRE(bench.record({{bench.event(seen)}, {}}));
  CHECK(bench.open_kinds() == kNothing);
  seen.exec.origin = catalog::ExecOrigin::kUpper;
  seen.exec.path = "/tmp/x\x1b[2J";
  REQUIRE(bench.record({{bench.event(seen), bench.event(seen)}, {}}));
  REQUIRE(bench.open_kinds() == std::vector{FindingKind::kForeignExecutable});
  bench.end_run(1);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kForeignExecutable});
  const auto trace = bench.store->trace(run_id(1), "");
  REQUIRE(trace->findings.size() == 1);
  CHECK(trace->findings[0].subject == "upper:/tmp/x\\x1b[2J");
  CHECK(trace->findings[0].reason.find("written in this container") != std::string::npos);
  REQUIRE(trace->execs.size() == 3);
  CHECK(trace->execs[0].origin == catalog::ExecOrigin::kLayer);
  CHECK(trace->execs[2].origin == catalog::ExecOrigin::kUpper);
}

TEST_CASE("a run that executes one foreign file after the other has few findings",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1)}));
  for (int i = 0; i < 50; ++i) {
    ExecSeen seen;
    seen.run_id = run_id(1);
    seen.exec.path = "/tmp/" + std::to_string(i);
    seen.exec.origin = catalog::ExecOrigin::kUpper;
    REQUIRE(bench.record({{bench.event(seen)}, {}}));
  }
  CHECK(bench.open_kinds().size() == 33);
  CHECK(bench.store->trace(run_id(1), "")->execs.size() == 50);
}

TEST_CASE("a layer changed under a run is a finding that stays after its end",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack before = stack(kNode, {layer(1)});
  catalog::Stack after = before;
  after.layers[0].evidence.tampered = "/bin/ls (content, size, time)";
  bench.start_run(1, before);
  bench.start_run(2, before);
  bench.end_run(1);
  StackAdvanced moved{catalog::digest_of(before), catalog::digest_of(after), true};
  REQUIRE(bench.record({{bench.event(moved)}, {after}}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kTampered});
  const auto changed = bench.store->trace(run_id(2), "");
  CHECK(changed->run.verdict.status == catalog::VerdictStatus::kPending);
  REQUIRE(changed->findings.size() == 1);
  CHECK(changed->findings[0].subject == "layer 1");
  CHECK(changed->findings[0].reason ==
        "layer 1 was changed on its node after it was first read: /bin/ls (content, size, time)");
  REQUIRE(changed->stack.layers.size() == 1);
  CHECK(changed->stack.layers[0].evidence.tampered == "/bin/ls (content, size, time)");
  // What had ended stood on the layer as it was.
  const auto ended = bench.store->trace(run_id(1), "");
  CHECK(ended->run.verdict.status == catalog::VerdictStatus::kApproved);
  CHECK(ended->findings.empty());

  catalog::Stack more = after;
  more.layers[0].evidence.tampered += "; /etc/x (added)";
  moved = {catalog::digest_of(after), catalog::digest_of(more), true};
  REQUIRE(bench.record({{bench.event(moved)}, {more}}));
  CHECK(bench.store->trace(run_id(2), "")->findings.size() == 1);  // the same one says more
  bench.end_run(2);
  bench.change_catalog(debian(2, BaseStatus::kRevoked));
  bench.clock.advance(std::chrono::hours(1));
  const auto open = bench.open_kinds();
  CHECK(std::ranges::count(open, FindingKind::kTampered) == 1);
  CHECK(std::ranges::count(open, FindingKind::kUnverified) == 0);
}

TEST_CASE("a base approved later resolves the findings on it", "[collector][unit]") {
  Bench bench(make_catalog(1, {}));
  bench.start_run(1, stack(kNode, {layer(1)}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnknownBase});
  bench.change_catalog(debian(2, BaseStatus::kApproved));
  CHECK(bench.open_kinds() == kNothing);
  CHECK(bench.store->trace(run_id(1), "")->findings[0].resolved_reason.find("approved") !=
        std::string::npos);
}

TEST_CASE("a pending verdict becomes unverified after the deadline and resolves with evidence",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack shape_only = stack(kNode, {layer(1, false)});
  const catalog::Stack full = stack(kNode, {layer(1)});
  bench.start_run(1, shape_only);
  CHECK(bench.open_kinds() == kNothing);
  CHECK(bench.store->trace(run_id(1), "")->run.verdict.status == catalog::VerdictStatus::kPending);
  bench.clock.advance(std::chrono::minutes(6));
  CHECK(eventually([&] { return !bench.open_kinds().empty(); }));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnverified});
  REQUIRE(bench.record(
      {{bench.event(StackAdvanced{catalog::digest_of(shape_only), catalog::digest_of(full)})},
       {full}}));
  CHECK(bench.open_kinds() == kNothing);
  CHECK(bench.store->trace(run_id(1), "")->run.verdict.status == catalog::VerdictStatus::kApproved);
}

TEST_CASE("a run that ends while pending is unverified until its evidence comes",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack shape_only = stack(kNode, {layer(1, false)});
  const catalog::Stack full = stack(kNode, {layer(1)});
  bench.start_run(1, shape_only);
  bench.end_run(1);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnverified});
  REQUIRE(bench.record(
      {{bench.event(StackAdvanced{catalog::digest_of(shape_only), catalog::digest_of(full)})},
       {full}}));
  CHECK(bench.open_kinds() == kNothing);
}

TEST_CASE("what turns out bad after the end is in the history of findings", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack shape_only = stack(kNode, {layer(1, false)});
  catalog::StackLayer forged = layer(1);
  forged.evidence.content = digest_with<ContentDigest>(66);
  const catalog::Stack full = stack(kNode, {forged});
  bench.start_run(1, shape_only);
  bench.end_run(1);
  REQUIRE(bench.record(
      {{bench.event(StackAdvanced{catalog::digest_of(shape_only), catalog::digest_of(full)})},
       {full}}));
  std::vector<FindingKind> kinds;
  const auto trace = bench.store->trace(run_id(1), "");
  for (const auto& finding : trace->findings)
    kinds.push_back(finding.kind);
  CHECK(std::count(kinds.begin(), kinds.end(), FindingKind::kMismatch) == 1);
  CHECK(std::count(kinds.begin(), kinds.end(), FindingKind::kUnknownBase) == 1);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kMismatch});
}

TEST_CASE("a date that passes is judged without any change of the catalog", "[collector][unit]") {
  FakeClock clock;
  catalog::Base one = base("debian:12", BaseStatus::kApproved, {1});
  one.expires_at = clock.wall_now() + std::chrono::hours(1);
  Bench bench(make_catalog(1, {one}));
  bench.start_run(1, stack(kNode, {layer(1)}));
  CHECK(bench.open_kinds() == kNothing);
  bench.clock.advance(std::chrono::hours(2));
  CHECK(eventually([&] { return !bench.open_kinds().empty(); }));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kExpiredBase});
}

TEST_CASE("a clock that was ahead and is put right leaves no date passed", "[collector][unit]") {
  FakeClock clock;
  catalog::Base one = base("debian:12", BaseStatus::kApproved, {1});
  one.expires_at = clock.wall_now() + std::chrono::minutes(30);
  Bench bench(make_catalog(1, {one}));
  bench.start_run(1, stack(kNode, {layer(1)}));
  bench.clock.set(std::chrono::hours(1));
  REQUIRE(eventually([&] { return !bench.open_kinds().empty(); }));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kExpiredBase});
  bench.clock.set(-std::chrono::hours(1));
  CHECK(eventually([&] { return bench.open_kinds().empty(); }));
  bench.clock.advance(std::chrono::hours(1));
  CHECK(eventually([&] { return !bench.open_kinds().empty(); }));
}

TEST_CASE("a clock that jumps ahead makes no pending run overdue, time that goes by does",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1, false)}));
  const auto commits = [&] { return bench.loop->counts().commits.load(); };
  const auto look_twice = [&] {
    const auto now = commits();
    REQUIRE(eventually([&] {
      bench.loop->heartbeat(kNode, {});
      bench.start_run(static_cast<int>(commits()) + 100, stack(kNode, {layer(1)}));
      return commits() > now + 2;
    }));
  };
  look_twice();  // so that the clock was looked at before it jumps
  bench.clock.set(std::chrono::hours(1));
  look_twice();
  CHECK(bench.open_kinds() == kNothing);
  bench.clock.set(-std::chrono::hours(1));
  look_twice();
  CHECK(bench.open_kinds() == kNothing);
  bench.clock.advance(std::chrono::minutes(6));
  CHECK(eventually([&] { return !bench.open_kinds().empty(); }));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnverified});
}

TEST_CASE("a jump ahead that stays delays deadlines, no more", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1, false)}));
  bench.clock.set(std::chrono::hours(1));
  CHECK(eventually([&] {
    bench.clock.advance(std::chrono::minutes(1));
    return !bench.open_kinds().empty();
  }));
}

TEST_CASE("a run of a node whose clock is an hour ahead is overdue in time", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack shape_only = stack(kNode, {layer(1, false)});
  const std::int64_t ahead = to_unix_ns(bench.clock.wall_now() + std::chrono::hours(1));
  REQUIRE(bench.record(
      {{bench.event(run_started(1, catalog::digest_of(shape_only), ahead))}, {shape_only}}));
  bench.clock.advance(std::chrono::minutes(6));
  CHECK(eventually([&] { return !bench.open_kinds().empty(); }));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnverified});
}

TEST_CASE("a full disk is said until something was written again", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(9)}));
  Batch again;
  {
    const assay::tests::FullDisk full(1);
    again.events.push_back(bench.event(run_started(2, catalog::digest_of(stack(kNode, {layer(9)})),
                                                   to_unix_ns(bench.clock.wall_now()))));
    const auto refused = bench.record(again);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ErrorCode::kUnavailable);
    const auto failed = bench.loop->counts().failed_commits.load();
    REQUIRE(eventually([&] { return bench.loop->counts().failed_commits > failed + 2; }));
    CHECK(bench.loop->is_failing());  // though nothing was asked of it meanwhile
  }
  CHECK(eventually([&] { return !bench.loop->is_failing(); }));
  REQUIRE(bench.record(again));
  CHECK(bench.open_kinds().size() == 2);
}

TEST_CASE("duplicates are ignored and a hole is refused with what is expected",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack on = stack(kNode, {layer(1)});
  const Event first = bench.event(run_started(1, catalog::digest_of(on), 5));
  REQUIRE(bench.record({{first}, {on}}));
  const auto again = bench.record({{first}, {}});
  REQUIRE(again);
  CHECK(again->acknowledged == 1);
  CHECK(bench.store->list_runs({}, std::nullopt, 10)->rows.size() == 1);
  Event third = bench.event(run_started(2, catalog::digest_of(on), 6));
  third.sequence = 3;
  const auto hole = bench.record({{third}, {}});
  REQUIRE_FALSE(hole);
  CHECK(hole.error().message.find("expected 2, got 3") != std::string::npos);
  third.skipped = 1;
  CHECK(bench.record({{third}, {}})->acknowledged == 3);
}

TEST_CASE("an unknown stack is asked for and judged when it is described", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack on = stack(kNode, {layer(9)});
  const auto outcome = bench.record({{bench.event(run_started(1, catalog::digest_of(on), 5))}, {}});
  REQUIRE(outcome);
  CHECK(outcome->unknown == std::vector{catalog::digest_of(on)});
  CHECK(bench.store->trace(run_id(1), "")->run.verdict.status == catalog::VerdictStatus::kPending);
  REQUIRE(bench.record({{}, {on}}));
  CHECK(bench.store->trace(run_id(1), "")->run.verdict.status == catalog::VerdictStatus::kUnknown);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnknownBase});
}

TEST_CASE("a root that could not be read is a finding of its own", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  REQUIRE(bench.record({{bench.event(run_started(1, std::nullopt, 5))}, {}}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnsupportedRoot});
}

TEST_CASE("a verdict of the agent that differs at the same sequence is counted",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack on = stack(kNode, {layer(1)});
  RunStarted start = run_started(1, catalog::digest_of(on), 5);
  start.agent_verdict.emplace();
  start.agent_verdict->status = catalog::VerdictStatus::kUnknown;
  start.agent_verdict->catalog_sequence = 1;
  REQUIRE(bench.record({{bench.event(start)}, {on}}));
  CHECK(bench.loop->recorder_counts().verdict_differences == 1);
}

TEST_CASE("judging that a stop interrupted goes on after the restart", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  for (int n = 1; n <= 20; ++n)
    bench.start_run(n, stack(kNode, {layer(1), layer(static_cast<std::uint8_t>(10 + n))}));
  const auto revoked = debian(2, BaseStatus::kRevoked);
  REQUIRE(bench.loop->change_catalog({2, "statement", "head", "user:test", 1}, revoked));
  bench.start(revoked);  // wherever judging stood
  REQUIRE(bench.loop->drain(std::chrono::seconds(30)));
  CHECK(bench.open_kinds() == std::vector(20, FindingKind::kRevokedBase));
}

TEST_CASE("the runs of one stack are settled in bounded transactions, across a restart",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const auto on = stack(kNode, {layer(1)});
  for (int n = 1; n <= 7; ++n)
    bench.start_run(n, on);
  REQUIRE(bench.loop->drain(std::chrono::seconds(30)));
  bench.loop.reset();
  const JudgingRound round{2, 2, to_unix_ns(bench.clock.wall_now())};
  REQUIRE(bench.store->write([&](StoreWriter& writer) { return writer.set_round(round); }));
  const auto revoked = debian(2, BaseStatus::kRevoked);
  {
    Judging judging(revoked, round, {},
                    {.max_runs = 2});  // one transaction, then the collector is gone
    REQUIRE(bench.store->write([&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const bool is_left, judging.judge_some(writer, 2, bench.clock.wall_now()));
      CHECK(is_left);
      CHECK(judging.has_unsettled());
      return ok();
    }));
  }
  CHECK(bench.open_kinds().size() == 2);
  bench.start(revoked);
  REQUIRE(bench.loop->drain(std::chrono::seconds(30)));
  CHECK(bench.open_kinds() == std::vector<FindingKind>(7, FindingKind::kRevokedBase));
  // A verdict that changes while runs are left begins with the first run again.
  bench.change_catalog(debian(3, BaseStatus::kApproved));
  CHECK(bench.open_kinds() == kNothing);
}

TEST_CASE("stacks of one evidence are judged alike, wherever they lie", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  auto elsewhere = layer(1);
  elsewhere.instance.inode = 77;
  auto with_gap = layer(1, false);
  with_gap.evidence.gap = "too large";
  bench.start_run(1, stack(kNode, {layer(1), layer(2)}));
  bench.start_run(2, stack(kNode, {elsewhere, layer(2)}));
  bench.start_run(3, stack(kNode, {with_gap, layer(2)}));
  bench.change_catalog(debian(2, BaseStatus::kRevoked));
  const auto verdict_of = [&](int n) { return bench.store->trace(run_id(n), "")->run.verdict; };
  CHECK(verdict_of(1) == verdict_of(2));
  CHECK(verdict_of(1).rung == catalog::Rung::kContent);
  CHECK(verdict_of(3).rung == catalog::Rung::kShape);
  CHECK(bench.open_kinds() == std::vector(3, FindingKind::kRevokedBase));
  const auto own = bench.store->trace(run_id(2), "")->stack;
  CHECK(own.layers.front().instance.inode == 77);  // its own, not the other's
}

TEST_CASE("a run that is told again stands on the stack that is told last", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(9, false)}));
  REQUIRE(bench.open_kinds() == std::vector{FindingKind::kUnknownBase});
  bench.start_run(1, stack(kNode, {layer(1)}));
  CHECK(bench.open_kinds() == kNothing);
  CHECK(bench.store->trace(run_id(1), "")->run.verdict.status == catalog::VerdictStatus::kApproved);
  CHECK(bench.store->impact("debian:12")->running == 1);
  bench.end_run(1);
  bench.start_run(1, stack(kNode, {layer(9)}));
  CHECK(bench.open_kinds() == kNothing);
}

TEST_CASE("a stack that is not described yet resolves no finding", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kRevoked));
  const auto before = stack(kNode, {layer(1, false)});
  const auto after = stack(kNode, {layer(1)});
  bench.start_run(1, before);
  const auto opened = bench.store->list_findings({}, std::nullopt, 10)->rows;
  REQUIRE(opened.size() == 1);
  const StackAdvanced advanced{catalog::digest_of(before), catalog::digest_of(after)};
  REQUIRE(bench.record({{bench.event(advanced)}, {}}));
  REQUIRE(bench.open_kinds() == std::vector{FindingKind::kRevokedBase});
  REQUIRE(bench.record({{}, {after}}));
  FindingFilter all;
  all.include_resolved = true;
  const auto kept = bench.store->list_findings(all, std::nullopt, 10)->rows;
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].finding_id == opened[0].finding_id);
  CHECK(kept[0].resolved_ns == 0);
}

TEST_CASE("a run whose records disagree with the kernel has a mismatch that stays",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1)}));
  RunNamed named{run_id(1), run_started(1, std::nullopt, 1).names, {}};
  REQUIRE(bench.record({{bench.event(named)}, {}}));
  CHECK(bench.open_kinds() == kNothing);
  named.claim_conflicts = {"docker's record: it names 2 layers, the container stands on 1"};
  REQUIRE(bench.record({{bench.event(named)}, {}}));
  const auto opened = bench.store->list_findings({}, std::nullopt, 10)->rows;
  REQUIRE(opened.size() == 1);
  CHECK(opened[0].kind == FindingKind::kMismatch);
  CHECK(opened[0].subject == "docker's record");
  CHECK(opened[0].reason == named.claim_conflicts[0]);
  CHECK(opened[0].run_id == run_id(1));
  CHECK(bench.store->trace(run_id(1), "")->run.verdict.status == catalog::VerdictStatus::kApproved);

  named.claim_conflicts.clear();  // a later look that finds nothing takes nothing back
  REQUIRE(bench.record({{bench.event(named)}, {}}));
  bench.change_catalog(debian(2, BaseStatus::kRevoked));
  bench.change_catalog(debian(3, BaseStatus::kApproved));
  bench.end_run(1);
  const auto kept = bench.store->list_findings({}, std::nullopt, 10)->rows;
  REQUIRE(kept.size() == 1);
  CHECK(kept[0].finding_id == opened[0].finding_id);
  CHECK(kept[0].changed_ns == opened[0].changed_ns);
}

TEST_CASE("a run that hides its base has a finding and no approval, its neighbours have both",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const auto clean = stack(kNode, {layer(1)});
  auto masked = clean;
  masked.is_masked = true;
  bench.start_run(1, clean);
  bench.start_run(2, clean);
  RunViewed viewed{run_id(1), {}, catalog::digest_of(masked)};
  viewed.view.state = catalog::ViewState::kDiffers;
  viewed.view.masked = 1;
  viewed.view.masked_paths = {"/bin/sh (edited in the container)"};
  REQUIRE(bench.record({{bench.event(viewed)}, {masked}}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kMaskedBase});
  const auto trace = bench.store->trace(run_id(1), "");
  CHECK(trace->run.verdict.status == catalog::VerdictStatus::kPending);
  CHECK(trace->view == viewed.view);
  CHECK(trace->stack.is_masked);
  REQUIRE(trace->findings.size() == 1);
  CHECK(trace->findings[0].reason.find("/bin/sh (edited") != std::string::npos);
  CHECK(bench.store->trace(run_id(2), "")->run.verdict.status == catalog::VerdictStatus::kApproved);
  CHECK(bench.store->trace(run_id(2), "")->view == catalog::View{});
  bench.end_run(1);
  CHECK(bench.open_kinds() == kNothing);
}

TEST_CASE("what records disagree on is told of a run that has ended, too", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  bench.start_run(1, stack(kNode, {layer(1)}));
  bench.end_run(1);
  RunNamed named{run_id(1), {}, {"containers/storage: one", "containers/storage: two"}};
  REQUIRE(bench.record({{bench.event(named)}, {}}));
  const auto rows = bench.store->list_findings({}, std::nullopt, 10)->rows;
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].reason == "containers/storage: one; containers/storage: two");
}

TEST_CASE("a node that refused the catalog has a finding until it holds it", "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  REQUIRE(bench.loop->catalog_refused(kNode, 1, "the signature is bad"));
  CHECK(
      eventually([&] { return bench.open_kinds() == std::vector{FindingKind::kCatalogRefused}; }));
  Heartbeat beat;
  beat.catalog_sequence = 1;
  bench.loop->heartbeat(kNode, beat);
  CHECK(eventually([&] { return bench.open_kinds() == kNothing; }));
}

TEST_CASE("what a forged head claims keeps no finding open", "[collector][unit]") {
  Bench bench(debian(2, BaseStatus::kApproved));
  REQUIRE(bench.loop->catalog_refused(kNode, 9'000'000'000, "fork"));
  CHECK(
      eventually([&] { return bench.open_kinds() == std::vector{FindingKind::kCatalogRefused}; }));
  Heartbeat beat;
  beat.catalog_sequence = 1;
  bench.loop->heartbeat(kNode, beat);
  REQUIRE(bench.loop->drain(std::chrono::seconds(30)));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kCatalogRefused});
  beat.catalog_sequence = 2;
  bench.loop->heartbeat(kNode, beat);
  CHECK(eventually([&] { return bench.open_kinds() == kNothing; }));
}

TEST_CASE("more than the queue may hold is refused, and room comes back with the commit",
          "[collector][unit]") {
  Bench bench(debian(1, BaseStatus::kApproved));
  const catalog::Stack on = stack(kNode, {layer(1)});
  std::promise<void> is_there, may_go;
  REQUIRE(bench.loop->record(
      kNode, kEpoch, {{bench.event(run_started(1, catalog::digest_of(on), 5))}, {on}}, 100,
      [&](const Result<BatchOutcome>&) {
        is_there.set_value();
        may_go.get_future().wait();  // nothing is committed until the test says so
      }));
  is_there.get_future().wait();
  std::promise<void> committed;
  REQUIRE(bench.loop->record(kNode, kEpoch, {}, 60ULL << 20,
                             [&](const Result<BatchOutcome>&) { committed.set_value(); }));
  const auto refused = bench.loop->record(kNode, kEpoch, {}, 60ULL << 20, {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kLimitExceeded);
  CHECK(bench.loop->retry_after() >= std::chrono::seconds(1));
  CHECK(bench.loop->counts().refused == 1);
  may_go.set_value();
  committed.get_future().wait();
  CHECK(bench.record({}));
  CHECK(bench.loop->held_bytes() == 0);
}

}  // namespace
}  // namespace assay::collector
