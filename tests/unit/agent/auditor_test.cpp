// SPDX-License-Identifier: Apache-2.0
#include "agent/core/auditor.h"

#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

using namespace assay;
using namespace assay::agent;
using namespace assay::agent::tests;
using std::chrono::seconds;

TEST_CASE("a start becomes one run with its bare stack and its layers are asked for",
          "[agent][unit]") {
  Fixture f;
  f.auditor.on_start(container(1, seconds(10)));
  const auto started = f.journal.all<RunStarted>();
  REQUIRE(started.size() == 1);
  CHECK(started[0].kind == RunKind::kContainer);
  CHECK(started[0].run_id.size() == 32);
  CHECK_FALSE(started[0].is_late);
  CHECK(started[0].started == f.clock.wall_now() - seconds(90));
  REQUIRE(f.journal.stacks[0]);
  CHECK(f.journal.stacks[0]->layers.size() == 2);
  CHECK(catalog::digest_of(*f.journal.stacks[0]) == *started[0].stack);
  REQUIRE(f.identifier.asked.size() == 2);
  CHECK_FALSE(f.identifier.asked[0].is_top);
  CHECK(f.identifier.asked[1].is_top);
  CHECK(f.open_runs.rows.size() == 1);
}

TEST_CASE("a second start of a known root is no new run", "[agent][unit]") {
  Fixture f;
  f.auditor.on_start(container(1, seconds(10)));
  f.auditor.on_start(container(1, seconds(11)));
  ContainerStart swept = container(1, seconds(10));
  swept.cause = StartCause::kSweep;
  f.auditor.on_start(swept);
  CHECK(f.journal.all<RunStarted>().size() == 1);
}

TEST_CASE("evidence moves every stack that holds the layer, once", "[agent][unit]") {
  Fixture f;
  const ContainerStart first = container(1, seconds(10));
  f.auditor.on_start(first);
  f.auditor.on_start(container(2, seconds(11)));
  REQUIRE(f.journal.all<RunStarted>()[0].stack == f.journal.all<RunStarted>()[1].stack);
  f.auditor.on_layer(shape_of(first.layers[0], false));
  const auto advanced = f.journal.all<StackAdvanced>();
  REQUIRE(advanced.size() == 1);
  CHECK(advanced[0].from == f.journal.all<RunStarted>()[0].stack);
  CHECK(f.journal.stacks.back()->layers[0].evidence.shape.has_value());
  CHECK(f.journal.stacks.back()->layers[0].name == "/store/0");
  for (const auto& [id, run] : f.open_runs.rows)
    CHECK(run.stack == advanced[0].to);
  f.auditor.on_layer(shape_of(first.layers[0], false));
  CHECK(f.journal.all<StackAdvanced>().size() == 1);
}

TEST_CASE("results that come together are one step", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10), 3);
  f.auditor.on_start(start);
  std::vector<LayerResult> results;
  for (const LowerLayer& layer : start.layers)
    results.push_back(shape_of(layer, true));
  f.auditor.on_layers(results);
  const auto advanced = f.journal.all<StackAdvanced>();
  REQUIRE(advanced.size() == 1);
  CHECK(advanced[0].from == f.journal.all<RunStarted>()[0].stack);
  CHECK(advanced[0].to == catalog::digest_of(*f.journal.stacks.back()));
  for (const auto& layer : f.journal.stacks.back()->layers)
    CHECK(layer.evidence.shape.has_value());
  for (const auto& [id, run] : f.open_runs.rows)
    CHECK(run.stack == advanced[0].to);
}

TEST_CASE("a stack that others reach in the same step takes them along", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  f.identifier.known.emplace(ref_of(start.layers[0]), shape_of(start.layers[0], true));
  f.auditor.on_start(container(2, seconds(11)));  // the same layers, one of them known already
  const auto runs = f.journal.all<RunStarted>();
  REQUIRE(runs[0].stack != runs[1].stack);
  f.auditor.on_layers({shape_of(start.layers[0], true), shape_of(start.layers[1], true)});
  std::map<StackDigest, StackDigest> moved;
  for (const StackAdvanced& change : f.journal.all<StackAdvanced>())
    moved[change.from] = change.to;
  const auto last = [&](StackDigest digest) {
    while (moved.contains(digest))
      digest = moved.at(digest);
    return digest;
  };
  CHECK(last(*runs[0].stack) == last(*runs[1].stack));
  CHECK(last(*runs[0].stack) == catalog::digest_of(*f.journal.stacks.back()));
  for (const auto& [id, run] : f.open_runs.rows)
    CHECK(run.stack == last(*runs[0].stack));
}

TEST_CASE("a container that ended before its layers were read still gets its evidence",
          "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  f.auditor.on_emptied({start.key, seconds(11)});
  CHECK(f.source.sweeps == 1);
  f.auditor.on_sweep(sweep(seconds(12), {}));
  const auto ended = f.journal.all<RunEnded>();
  REQUIRE(ended.size() == 1);
  CHECK_FALSE(ended[0].is_approximate);
  CHECK(ended[0].ended == f.clock.wall_now() - seconds(89));
  f.auditor.on_layer(shape_of(start.layers[0], true));
  f.auditor.on_layer(shape_of(start.layers[1], true));
  CHECK(f.journal.all<StackAdvanced>().size() == 2);
  CHECK(f.open_runs.rows.empty());
}

TEST_CASE("a run whose tasks a sweep still sees does not end", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  f.auditor.on_emptied({start.key, seconds(11)});
  f.auditor.on_sweep(sweep(seconds(12), {start.key}));
  CHECK(f.journal.all<RunEnded>().empty());
  f.auditor.on_sweep(sweep(seconds(20), {}));
  REQUIRE(f.journal.all<RunEnded>().size() == 1);
  CHECK(f.journal.all<RunEnded>()[0].is_approximate);
}

TEST_CASE("a sweep that began before a start does not end it", "[agent][unit]") {
  Fixture f;
  f.auditor.on_start(container(1, seconds(10)));
  f.auditor.on_sweep(sweep(seconds(9), {}));
  CHECK(f.journal.all<RunEnded>().empty());
}

TEST_CASE("a restart on the same root and cgroup is another run", "[agent][unit]") {
  Fixture f;
  f.auditor.on_start(container(1, seconds(10)));
  f.auditor.on_emptied({container(1, seconds(10)).key, seconds(11)});
  f.auditor.on_start(container(1, seconds(12)));
  const auto started = f.journal.all<RunStarted>();
  REQUIRE(started.size() == 2);
  CHECK(started[0].run_id != started[1].run_id);
  REQUIRE(f.journal.all<RunEnded>().size() == 1);
  CHECK(f.journal.all<RunEnded>()[0].run_id == started[0].run_id);
}

TEST_CASE("a mount namespace's number is used again once its last task is gone", "[agent][unit]") {
  Fixture f;
  const ContainerStart first = container(1, seconds(10));
  f.auditor.on_start(first);
  f.auditor.on_emptied({first.key, seconds(11)});
  ContainerStart second = container(2, seconds(12));
  second.mount_namespace = first.mount_namespace;
  f.auditor.on_start(second);
  CHECK(f.journal.all<RunStarted>()[1].kind == RunKind::kContainer);
}

TEST_CASE("another life of a root ends the one before, also without a word of its end",
          "[agent][unit]") {
  Fixture fixture;
  ContainerStart start = container(5, seconds(100));
  start.begins_life = true;
  fixture.auditor.on_start(start);
  fixture.auditor.on_start(start);  // the same process: the same life
  CHECK(fixture.journal.all<RunStarted>().size() == 1);
  start.process.key = {77, seconds(110)};
  start.time = seconds(111);
  fixture.auditor.on_start(start);
  const auto started = fixture.journal.all<RunStarted>();
  const auto ended = fixture.journal.all<RunEnded>();
  REQUIRE(started.size() == 2);
  REQUIRE(ended.size() == 1);
  CHECK(ended[0].run_id == started[0].run_id);
  CHECK(ended[0].is_approximate);
  CHECK(ended[0].ended == started[1].started);
}

TEST_CASE("runs that were open before the agent's restart go on or end", "[agent][unit]") {
  Fixture f;
  f.auditor.on_start(container(1, seconds(10)));
  f.auditor.on_start(container(2, seconds(11)));
  const auto before = f.journal.all<RunStarted>();
  f.journal.events.clear();
  f.journal.stacks.clear();

  Auditor again = f.make();
  again.resume();
  ContainerStart swept = container(1, seconds(10));
  swept.cause = StartCause::kSweep;
  again.on_start(swept);
  again.on_sweep(sweep(seconds(50), {swept.key}));
  CHECK(f.journal.all<RunStarted>().empty());
  REQUIRE(f.journal.all<RunEnded>().size() == 1);
  CHECK(f.journal.all<RunEnded>()[0].run_id == before[1].run_id);
  CHECK(f.open_runs.rows.size() == 1);
}

TEST_CASE("an open run whose facts were lost after a restart goes on later", "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  Auditor again = f.make();
  again.resume();
  SweepCompleted first = sweep(seconds(50), {});
  first.untold.push_back(start.key);
  again.on_sweep(first);
  CHECK(f.journal.all<RunEnded>().empty());
  start.cause = StartCause::kSweep;
  again.on_start(start);
  again.on_sweep(sweep(seconds(60), {start.key}));
  CHECK(f.journal.all<RunEnded>().empty());
  CHECK(f.journal.all<RunStarted>().size() == 1);
}

TEST_CASE("runs that a reboot ended are told as ended, once", "[agent][unit]") {
  Fixture f;
  f.open_runs.other_boots = {{"a", {}, {}, {}, f.clock.wall_now(), {}},
                             {"b", {}, {}, {}, f.clock.wall_now() + std::chrono::hours(1), {}}};
  f.auditor.resume();
  REQUIRE(f.journal.all<RunEnded>().size() == 2);
  CHECK(f.journal.all<RunEnded>()[0].run_id == "a");
  CHECK(f.journal.all<RunEnded>()[0].is_approximate);
  // The clock was set back before the reboot: no run ends before it started.
  CHECK(f.journal.all<RunEnded>()[1].ended == f.clock.wall_now() + std::chrono::hours(1));
  f.make().resume();
  CHECK(f.journal.all<RunEnded>().size() == 2);
}

TEST_CASE("a restart takes back no evidence of what still runs", "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  f.auditor.on_layers({shape_of(start.layers[0], false), shape_of(start.layers[1], false)});
  REQUIRE(f.journal.all<StackAdvanced>().size() == 1);
  const StackDigest told = f.journal.all<StackAdvanced>()[0].to;
  f.identifier.asked.clear();

  Auditor again = f.make();
  again.resume();
  start.cause = StartCause::kSweep;
  again.on_start(start);
  CHECK(f.journal.all<StackAdvanced>().size() == 1);
  CHECK(f.identifier.asked.size() == 2);  // what is still to come is asked for again
  LayerResult content = shape_of(start.layers[0], true);
  content.layer.evidence.content = ContentDigest{sha256("bytes").bytes};
  again.on_layer(content);
  const auto advanced = f.journal.all<StackAdvanced>();
  REQUIRE(advanced.size() == 2);
  CHECK(advanced[1].from == told);
  CHECK(f.journal.stacks.back()->layers[1].evidence.shape.has_value());
}

TEST_CASE("evidence is not carried over to other layers after a restart", "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  f.auditor.on_layers({shape_of(start.layers[0], true), shape_of(start.layers[1], true)});
  const StackDigest told = f.journal.all<StackAdvanced>()[0].to;
  Auditor again = f.make();
  again.resume();
  start.cause = StartCause::kSweep;
  ++start.layers[1].generation;
  again.on_start(start);
  const auto advanced = f.journal.all<StackAdvanced>();
  REQUIRE(advanced.size() == 2);
  CHECK(advanced[1].from == told);
  for (const auto& layer : f.journal.stacks.back()->layers)
    CHECK_FALSE(layer.evidence.shape.has_value());
}

TEST_CASE("a clock that is set meanwhile changes no run's length", "[agent][unit]") {
  for (const int hours : {-1, 1}) {
    Fixture f;
    CAPTURE(hours);
    const ContainerStart start = container(1, seconds(90));
    f.auditor.on_start(start);
    f.clock.boot += seconds(20);
    f.clock.set_by = std::chrono::hours(hours);
    f.auditor.on_emptied({start.key, seconds(110)});
    f.auditor.on_sweep(sweep(seconds(111), {}));
    const auto started = f.journal.all<RunStarted>();
    const auto ended = f.journal.all<RunEnded>();
    REQUIRE(ended.size() == 1);
    CHECK(ended[0].ended - started[0].started == seconds(20));
    // What starts afterwards is told by the clock as it is now.
    f.auditor.on_start(container(2, seconds(120)));
    f.clock.boot = seconds(120);
    CHECK(f.journal.all<RunStarted>()[1].started == f.clock.wall_now());
  }
}

TEST_CASE("a gap never ends before it begins", "[agent][unit]") {
  Fixture f;
  f.clock.boot += seconds(1);
  f.clock.set_by = std::chrono::hours(-1);
  f.auditor.on_gap({f.clock.boot - seconds(1), f.clock.boot, GapCause::kAbsence, {}});
  const auto gaps = f.journal.all<EvidenceGap>();
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].until - gaps[0].from == seconds(1));
}

TEST_CASE("dates in the catalog are compared with the time for judging", "[agent][unit]") {
  Fixture f;
  WallTime judging = f.clock.wall_now() + std::chrono::hours(5);
  Auditor auditor({f.journal, f.identifier, f.records, f.open_runs, f.source, f.clock,
                   [](LayerResult) {}, [&] { return judging; }},
                  AuditorConfig{.cluster = "test", .node = "node-1", .boot_id = "boot-1"});
  const ContainerStart start = container(1, seconds(10), 1);
  LayerResult known = shape_of(start.layers[0], true);
  known.layer.evidence.content = ContentDigest{sha256("bytes").bytes};
  f.identifier.known[ref_of(start.layers[0])] = known;
  catalog::Base base;
  base.id = catalog::BaseId::parse("debian:12").value();
  base.status = catalog::BaseStatus::kApproved;
  base.expires_at = f.clock.wall_now() + std::chrono::hours(1);
  base.stacks.push_back({});
  base.stacks[0].layers.push_back({std::nullopt, *known.layer.evidence.shape,
                                   *known.layer.evidence.content, std::nullopt, 1, 1});
  std::map<catalog::BaseId, catalog::Base> bases{{base.id, base}};
  auditor.on_catalog(
      std::make_shared<const catalog::Catalog>("c", 1, std::move(bases), catalog::Policy{}));
  auditor.on_start(start);
  judging = f.clock.wall_now();
  auditor.on_start([&] {
    ContainerStart second = start;
    second.key.cgroup_id = 77;
    return second;
  }());
  const auto started = f.journal.all<RunStarted>();
  REQUIRE(started.size() == 2);
  CHECK(started[0].verdict.status == catalog::VerdictStatus::kExpired);
  CHECK(started[1].verdict.status == catalog::VerdictStatus::kApproved);
}

TEST_CASE("kinds follow from the kernel's facts", "[agent][unit]") {
  ContainerStart start = container(1, seconds(10));
  CHECK(kind_of(start, {}, {}) == RunKind::kContainer);
  CHECK(kind_of(start, {}, {true, false}) == RunKind::kInner);
  CHECK(kind_of(start, {}, {false, true}) == RunKind::kInner);
  ContainerNames pause;
  pause.runtime = "containerd";
  pause.labels["io.kubernetes.cri.container-type"] = "sandbox";
  CHECK(kind_of(start, pause, {}) == RunKind::kContainer);  // nothing confirms its names
  pause.is_bound_to_kernel = true;
  CHECK(kind_of(start, pause, {}) == RunKind::kSandbox);
  pause.is_users_to_write = true;
  CHECK(kind_of(start, pause, {}) == RunKind::kContainer);
  pause.is_users_to_write = false;
  pause.runtime = "docker";  // takes labels from images
  CHECK(kind_of(start, pause, {}) == RunKind::kContainer);
  start.in_host_mount_namespace = true;
  CHECK(kind_of(start, {}, {}) == RunKind::kChroot);
  start.is_host_root = true;
  CHECK(kind_of(start, {}, {}) == RunKind::kHostRoot);
}

TEST_CASE("a root that a container's own process makes is inner, whoever's cgroup it is in",
          "[agent][unit]") {
  Fixture f;
  const ContainerStart outer = container(1, seconds(10));
  ContainerStart within = container(2, seconds(11));
  within.key.cgroup_id = outer.key.cgroup_id;
  within.ancestors = {outer.process};
  ContainerStart beside = container(3, seconds(12));  // by hand, from the same session
  beside.key.cgroup_id = outer.key.cgroup_id;
  for (const ContainerStart& start : {outer, within, beside})
    f.auditor.on_start(start);
  const auto started = f.journal.all<RunStarted>();
  REQUIRE(started.size() == 3);
  CHECK(started[0].kind == RunKind::kContainer);
  CHECK(started[1].kind == RunKind::kInner);
  CHECK(started[2].kind == RunKind::kContainer);
}

TEST_CASE("a root that cannot be read as layers says so and is not asked for", "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(10));
  start.layers.clear();
  f.auditor.on_start(start);
  CHECK(f.identifier.asked.empty());
  CHECK_FALSE(f.journal.stacks[0]->unsupported.empty());
}

TEST_CASE("a sweep completes a run whose layers were lost, and no other", "[agent][unit]") {
  Fixture f;
  ContainerStart lost = container(1, seconds(10));
  lost.layers.pop_back();
  lost.layers_truncated = true;
  ContainerStart other = container(2, seconds(11));
  other.layers_truncated = true;
  f.auditor.on_start(lost);
  f.auditor.on_start(other);
  const auto started = f.journal.all<RunStarted>();
  REQUIRE(started.size() == 2);
  CHECK(started[0].stack != started[1].stack);  // moving one must not move the other

  lost.cause = StartCause::kSweep;
  f.auditor.on_start(lost);  // lost again
  CHECK(f.journal.all<StackAdvanced>().empty());
  ContainerStart whole = container(1, seconds(10));
  whole.cause = StartCause::kSweep;
  f.auditor.on_start(whole);
  f.auditor.on_start(whole);
  CHECK(f.journal.all<RunStarted>().size() == 2);
  const auto advanced = f.journal.all<StackAdvanced>();
  REQUIRE(advanced.size() == 1);
  CHECK(advanced[0].from == started[0].stack);
  CHECK(f.journal.stacks.back()->layers.size() == 2);
  CHECK(f.journal.stacks.back()->unsupported.empty());
  CHECK(f.identifier.asked.size() == 2);
  CHECK(f.open_runs.rows.at(started[0].run_id).stack == advanced[0].to);
  CHECK(f.open_runs.rows.at(started[1].run_id).stack == started[1].stack);
}

TEST_CASE("a restart that loses the layers does not take the earlier stack back", "[agent][unit]") {
  Fixture f;
  ContainerStart whole = container(1, seconds(10));
  f.auditor.on_start(whole);
  const auto before = f.journal.all<RunStarted>();
  Auditor again = f.make();
  again.resume();
  whole.cause = StartCause::kSweep;
  ContainerStart lost = whole;
  lost.layers_truncated = true;
  again.on_start(lost);
  CHECK(f.journal.all<StackAdvanced>().empty());
  again.on_start(whole);
  CHECK(f.journal.all<StackAdvanced>().empty());  // it is the stack that was told
  again.on_layer(shape_of(whole.layers[0], true));
  const auto advanced = f.journal.all<StackAdvanced>();
  REQUIRE(advanced.size() == 1);
  CHECK(advanced[0].from == before[0].stack);
}

TEST_CASE("names that a runtime writes late are brought in", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = "abc";
  f.auditor.on_start(container(1, seconds(10)));
  f.auditor.on_tick();
  CHECK(f.journal.all<RunNamed>().empty());
  f.records.names.name = "web";
  f.auditor.on_tick();
  REQUIRE(f.journal.all<RunNamed>().size() == 1);
  CHECK(f.journal.all<RunNamed>()[0].names.name == "web");
  const int calls = f.records.calls;
  f.auditor.on_tick();
  CHECK(f.records.calls == calls);
}

TEST_CASE("a gap is recorded with its times, its count and what is missing", "[agent][unit]") {
  Fixture f;
  ObservationGap gap{seconds(40), seconds(45), GapCause::kLosses, {}};
  gap.lost.ended_untold = 3;
  gap.lost.lost_starts = 9;
  f.auditor.on_gap(gap);
  const auto gaps = f.journal.all<EvidenceGap>();
  REQUIRE(gaps.size() == 1);
  CHECK(gaps[0].from == f.clock.wall_now() - seconds(60));
  CHECK(gaps[0].until == f.clock.wall_now() - seconds(55));
  CHECK(gaps[0].lost == 3);
  CHECK(gaps[0].reason.find("3 runs that had ended") != std::string::npos);
}

TEST_CASE("execs that nobody records are no gap", "[agent][unit]") {
  Fixture f;
  f.auditor.set_exec_level(ExecLevel::kOff);
  ObservationGap gap{seconds(40), seconds(45), GapCause::kLosses, {}};
  gap.lost.lost_execs = 5;
  f.auditor.on_gap(gap);
  CHECK(f.journal.all<EvidenceGap>().empty());
  gap.cause = GapCause::kAbsence;  // an absence is a gap whatever was counted
  f.auditor.on_gap(gap);
  REQUIRE(f.journal.all<EvidenceGap>().size() == 1);
  CHECK(f.journal.all<EvidenceGap>()[0].lost == 0);
}

TEST_CASE("of execs those of foreign files are told, each file once", "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(40));
  start.file.origin = catalog::ExecOrigin::kOtherMount;
  start.file.inode = 5;
  f.auditor.on_start(start);
  REQUIRE(f.journal.all<ExecSeen>().size() == 1);  // its first program
  ContainerExec exec;
  exec.key = start.key;
  exec.file.origin = catalog::ExecOrigin::kLayer;
  f.auditor.on_exec(exec);
  exec.file.origin = catalog::ExecOrigin::kUpper;
  exec.file.inode = 6;
  f.auditor.on_exec(exec);
  f.auditor.on_exec(exec);
  CHECK(f.journal.all<ExecSeen>().size() == 2);
  f.auditor.set_exec_level(ExecLevel::kAll);
  f.auditor.on_exec(exec);
  CHECK(f.journal.all<ExecSeen>().size() == 3);
  f.auditor.set_exec_level(ExecLevel::kOff);
  exec.file.inode = 7;
  f.auditor.on_exec(exec);
  CHECK(f.journal.all<ExecSeen>().size() == 3);
}

TEST_CASE("a noisy run is told by its id", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  RunNoise noise;
  noise.key = start.key;
  noise.since = seconds(20);
  noise.time = seconds(21);
  noise.dropped = 7;
  noise.limit = 200;
  f.auditor.on_noise(noise);
  const auto noisy = f.journal.all<RunNoisy>();
  REQUIRE(noisy.size() == 1);
  CHECK(noisy[0].run_id == f.journal.all<RunStarted>()[0].run_id);
  CHECK(noisy[0].from == f.clock.wall_now() - seconds(80));
  CHECK(noisy[0].until == f.clock.wall_now() - seconds(79));
  CHECK(noisy[0].dropped == 7);
  noise.key.root.inode = 99;  // of execs only the run itself speaks
  f.auditor.on_noise(noise);
  CHECK(f.journal.all<RunNoisy>().size() == 1);
}

TEST_CASE("roots made too fast are noise of the container, or a gap when it has ended",
          "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  RunNoise noise;
  noise.key = start.key;
  noise.key.root.inode = 99;  // the first run in the cgroup ended, this one goes on
  noise.budget = Budget::kStarts;
  noise.dropped = 4;
  f.auditor.on_noise(noise);
  CHECK(f.journal.all<RunNoisy>().size() == 1);
  noise.key.cgroup_id = 1;
  f.auditor.on_noise(noise);
  REQUIRE(f.journal.all<EvidenceGap>().size() == 1);
  CHECK(f.journal.all<EvidenceGap>()[0].lost == 4);
}

TEST_CASE("runs beyond the limit are one gap in a while", "[agent][unit]") {
  Fixture f;
  Auditor small(
      {f.journal, f.identifier, f.records, f.open_runs, f.source, f.clock, [](LayerResult) {}},
      {.cluster = "test", .node = "node-1", .boot_id = "boot-1", .max_open_runs = 1});
  small.on_start(container(1, seconds(99)));
  small.on_start(container(2, seconds(100)));
  small.on_start(container(3, seconds(100)));
  small.on_tick();
  CHECK(f.journal.all<EvidenceGap>().empty());
  f.clock.boot += seconds(11);
  small.on_tick();
  small.on_tick();
  REQUIRE(f.journal.all<EvidenceGap>().size() == 1);
  CHECK(f.journal.all<EvidenceGap>()[0].lost == 2);
}

TEST_CASE("an end that was read after a restart has its own time", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  Auditor again = f.make();
  again.resume();
  again.on_emptied({start.key, seconds(30)});
  again.on_sweep(sweep(seconds(50), {}));
  REQUIRE(f.journal.all<RunEnded>().size() == 1);
  CHECK_FALSE(f.journal.all<RunEnded>()[0].is_approximate);
  CHECK(f.journal.all<RunEnded>()[0].ended == f.clock.wall_now() - seconds(70));
}

TEST_CASE("a start that is read again after a restart is no second run", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  Auditor again = f.make();
  again.resume();
  again.on_start(start);
  CHECK(f.journal.all<RunStarted>().size() == 1);
  CHECK(f.journal.all<RunEnded>().empty());
  ContainerStart next = start;  // and one of another process is
  next.process.key.tgid += 1;
  Auditor later = f.make();
  later.resume();
  later.on_start(next);
  CHECK(f.journal.all<RunStarted>().size() == 2);
  CHECK(f.journal.all<RunEnded>().size() == 1);
}

TEST_CASE("a start that was told again is late", "[agent][unit]") {
  Fixture f;
  ContainerStart start = container(1, seconds(10));
  start.is_told_again = true;
  f.auditor.on_start(start);
  CHECK(f.journal.all<RunStarted>()[0].is_late);
}

TEST_CASE("known layers need no identification", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  for (const LowerLayer& layer : start.layers)
    f.identifier.known[ref_of(layer)] = shape_of(layer, true);
  f.auditor.on_start(start);
  CHECK(f.identifier.asked.empty());
  CHECK(f.journal.stacks[0]->layers[1].evidence.shape.has_value());
}

TEST_CASE("a shape that comes after the content takes nothing back", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10), 1);
  LayerResult complete = shape_of(start.layers[0], true);
  complete.layer.evidence.content = ContentDigest{sha256("bytes").bytes};
  f.identifier.known[ref_of(start.layers[0])] = complete;
  f.auditor.on_start(start);
  f.auditor.on_layers({shape_of(start.layers[0], false)});
  CHECK(f.journal.all<StackAdvanced>().empty());
}
