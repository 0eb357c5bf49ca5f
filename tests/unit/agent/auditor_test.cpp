// SPDX-License-Identifier: Apache-2.0
#include "agent/core/auditor.h"

#include <catch2/catch.hpp>

#include "common/base/sha256.h"
#include "tests/unit/agent/fakes.h"

using namespace assay;
using namespace assay::agent;
using namespace assay::agent::tests;
using std::chrono::seconds;

namespace {

struct Fixture {
  FakeClock clock;
  Recorder journal;
  ManualIdentifier identifier;
  ManualRecords records;
  MemoryOpenRuns open_runs;
  ManualSource source;
  ManualClaims claims;
  Auditor auditor = make();

  Auditor make() {
    AuditorConfig config;
    config.cluster = "test";
    config.node = "node-1";
    config.boot_id = "boot-1";
    return Auditor({journal, identifier, records, open_runs, source, clock, [](LayerResult) {},
                    &claims, [](RunClaims) {}},
                   config);
  }
};

LayerClaim claim_of(const LowerLayer& layer) {
  const std::string inode = std::to_string(layer.inode);
  return {ref_of(layer), DiffId{sha256("diff " + inode).bytes},
          ChainId{sha256("chain " + inode).bytes}, false};
}

/// What the reader answers to the last question about `start`.
RunClaims answer(const Fixture& f, const ContainerStart& start) {
  RunClaims claims{f.claims.asked.back().run_id, start.key, f.claims.asked.back().names, {}, {}};
  for (const LowerLayer& layer : start.layers)
    claims.layers.push_back(claim_of(layer));
  return claims;
}

constexpr std::uint32_t kOverlay = 0x794c7630;

ContainerStart container(std::uint64_t upper, BootTime time, int layers = 2) {
  ContainerStart start;
  start.key = {{40, upper, 7, kOverlay}, 900 + upper};
  start.time = time;
  start.process = {{1000 + static_cast<std::uint32_t>(upper), time}, "sleep"};
  start.mount_namespace = 5000 + upper;
  start.is_overlay = true;
  for (int i = 0; i < layers; ++i) {
    LowerLayer layer;
    layer.device = 65024;
    layer.inode = 100 + static_cast<std::uint64_t>(i);
    layer.generation = 11;
    layer.name = "/store/" + std::to_string(i);
    start.layers.push_back(layer);
  }
  return start;
}

LayerResult shape_of(const LowerLayer& layer, bool is_final) {
  LayerResult result;
  result.ref = ref_of(layer);
  result.layer.instance = {"uuid:x", layer.inode, layer.generation, 1};
  result.layer.evidence.shape = ShapeDigest{sha256(std::to_string(layer.inode)).bytes};
  result.is_final = is_final;
  return result;
}

SweepCompleted sweep(BootTime began, std::vector<RunKey> live) {
  return {began, began + seconds(1), std::move(live), {}};
}

}  // namespace

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
  f.open_runs.other_boots = {"a", "b"};
  f.auditor.resume();
  REQUIRE(f.journal.all<RunEnded>().size() == 2);
  CHECK(f.journal.all<RunEnded>()[0].run_id == "a");
  CHECK(f.journal.all<RunEnded>()[0].is_approximate);
  f.make().resume();
  CHECK(f.journal.all<RunEnded>().size() == 2);
}

TEST_CASE("kinds follow from the kernel's facts", "[agent][unit]") {
  ContainerStart start = container(1, seconds(10));
  CHECK(kind_of(start, {}, {}) == RunKind::kContainer);
  CHECK(kind_of(start, {}, {true, false}) == RunKind::kInner);
  CHECK(kind_of(start, {}, {false, true}) == RunKind::kInner);
  ContainerNames pause;
  pause.labels["io.cri-containerd.kind"] = "sandbox";
  CHECK(kind_of(start, pause, {}) == RunKind::kSandbox);
  start.in_host_mount_namespace = true;
  CHECK(kind_of(start, {}, {}) == RunKind::kChroot);
  start.is_host_root = true;
  CHECK(kind_of(start, {}, {}) == RunKind::kHostRoot);
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

TEST_CASE("lost records are a gap on record and cause a sweep", "[agent][unit]") {
  Fixture f;
  f.source.state.loss.lost_starts = 3;
  f.auditor.on_tick();
  REQUIRE(f.journal.all<EvidenceGap>().size() == 1);
  CHECK(f.journal.all<EvidenceGap>()[0].lost == 3);
  CHECK(f.source.sweeps == 1);
  f.auditor.on_tick();
  CHECK(f.journal.all<EvidenceGap>().size() == 1);
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

TEST_CASE("a claim is told before the shape is known and stays under it", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = f.records.names.name = "abc";
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  REQUIRE(f.claims.asked.size() == 1);
  CHECK(f.claims.asked[0].run_id == f.journal.all<RunStarted>()[0].run_id);
  CHECK_FALSE(f.journal.stacks[0]->layers[0].evidence.claimed);

  f.auditor.on_claims(answer(f, start));
  REQUIRE(f.journal.all<StackAdvanced>().size() == 1);  // one step for all layers
  const catalog::LayerEvidence claimed = f.journal.stacks.back()->layers[1].evidence;
  CHECK(claimed.claimed == claim_of(start.layers[1]).diff_id);
  CHECK(claimed.claimed_chain == claim_of(start.layers[1]).chain_id);
  CHECK_FALSE(claimed.shape);
  CHECK(f.open_runs.rows.begin()->second.stack == f.journal.all<StackAdvanced>()[0].to);

  f.auditor.on_layer(shape_of(start.layers[1], true));
  const catalog::LayerEvidence shaped = f.journal.stacks.back()->layers[1].evidence;
  CHECK(shaped.shape);
  CHECK(shaped.claimed == claimed.claimed);
  CHECK(shaped.claimed_chain == claimed.claimed_chain);
}

TEST_CASE("what was claimed of a directory before is in the start's own stack", "[agent][unit]") {
  Fixture f;
  const ContainerStart start = container(1, seconds(10));
  f.claims.known[ref_of(start.layers[0])] = claim_of(start.layers[0]);
  f.claims.known[ref_of(start.layers[0])].is_for_display = true;
  f.auditor.on_start(start);
  const auto& layers = f.journal.stacks[0]->layers;
  CHECK(layers[0].evidence.claimed == claim_of(start.layers[0]).diff_id);
  CHECK(layers[0].evidence.is_claim_for_display);
  CHECK_FALSE(layers[1].evidence.claimed);
}

TEST_CASE("names and conflicts that a store brings are told once", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = f.records.names.name = "abc";
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  RunClaims claims = answer(f, start);
  f.auditor.on_claims(claims);
  CHECK(f.journal.all<RunNamed>().empty());  // nothing new in it
  claims.names.name = "another";             // a name is filled in, never replaced
  claims.names.config_digest = ConfigDigest{sha256("config").bytes};
  claims.conflicts = {"docker's record: 3 layers"};
  f.auditor.on_claims(claims);
  f.auditor.on_claims(claims);
  const auto named = f.journal.all<RunNamed>();
  REQUIRE(named.size() == 1);
  CHECK(named[0].names.name == "abc");
  CHECK(named[0].names.config_digest == claims.names.config_digest);
  CHECK(named[0].claim_conflicts == claims.conflicts);
}

TEST_CASE("a run that ended before its store was read is named all the same", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = f.records.names.name = "abc";
  const ContainerStart start = container(1, seconds(10));
  for (const LowerLayer& layer : start.layers)
    f.identifier.known[ref_of(layer)] = shape_of(layer, true);  // nothing else is awaited
  f.auditor.on_start(start);
  f.auditor.on_emptied({start.key, seconds(20)});
  f.auditor.on_sweep(sweep(seconds(30), {}));
  REQUIRE(f.journal.all<RunEnded>().size() == 1);
  RunClaims claims = answer(f, start);
  claims.conflicts = {"docker's record: 3 layers"};
  f.auditor.on_claims(claims);
  REQUIRE(f.journal.all<RunNamed>().size() == 1);
  CHECK(f.journal.all<RunNamed>()[0].run_id == claims.run_id);
  REQUIRE(f.journal.all<StackAdvanced>().size() == 1);
  CHECK(f.journal.stacks.back() == nullptr);  // RunNamed, after the stack's step
  CHECK(f.journal.all<StackAdvanced>()[0].from == f.journal.all<RunStarted>()[0].stack);
  f.auditor.on_claims(claims);  // it is forgotten now
  CHECK(f.journal.all<RunNamed>().size() == 1);
  CHECK(f.journal.all<StackAdvanced>().size() == 1);
}

TEST_CASE("claims that never come do not hold a stack for ever", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = f.records.names.name = "abc";
  const ContainerStart start = container(1, seconds(10));
  for (const LowerLayer& layer : start.layers)
    f.identifier.known[ref_of(layer)] = shape_of(layer, true);
  f.auditor.on_start(start);
  f.auditor.on_emptied({start.key, seconds(20)});
  f.auditor.on_sweep(sweep(seconds(30), {}));
  f.clock.boot += std::chrono::minutes(10);
  f.auditor.on_tick();
  f.auditor.on_claims(answer(f, start));
  CHECK(f.journal.all<StackAdvanced>().empty());
}

TEST_CASE("a store is asked again when its record came late", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = "abc";
  f.auditor.on_start(container(1, seconds(10)));
  CHECK(f.claims.asked.size() == 1);
  f.auditor.on_tick();
  CHECK(f.claims.asked.size() == 1);
  f.records.names.name = "web";
  f.auditor.on_tick();
  REQUIRE(f.claims.asked.size() == 2);
  CHECK(f.claims.asked[1].names.name == "web");
  CHECK(f.claims.asked[1].run_id == f.claims.asked[0].run_id);
}

TEST_CASE("nobody is asked about what no runtime knows", "[agent][unit]") {
  Fixture f;
  f.auditor.on_start(container(1, seconds(10)));
  CHECK(f.claims.asked.empty());
}
