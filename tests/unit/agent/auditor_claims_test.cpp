// SPDX-License-Identifier: Apache-2.0
// What the auditor makes of the claims that a runtime's store brings.
#include <catch2/catch.hpp>

#include "agent/core/auditor.h"
#include "tests/unit/agent/auditor_fixture.h"

using namespace assay;
using namespace assay::agent;
using namespace assay::agent::tests;
using std::chrono::seconds;

namespace {

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

}  // namespace

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

TEST_CASE("a full state tells claims, names and conflicts again", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = f.records.names.name = "abc";
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  RunClaims claims = answer(f, start);
  claims.names.config_digest = ConfigDigest{sha256("config").bytes};
  claims.conflicts = {"docker's record: 3 layers"};
  f.auditor.on_claims(claims);
  f.auditor.on_state_request(7);
  f.auditor.on_sweep(sweep(f.clock.boot_now(), {start.key}));
  const auto present = f.journal.all<RunPresent>();
  REQUIRE(present.size() == 1);
  CHECK(present[0].run.names.config_digest == claims.names.config_digest);
  CHECK(present[0].claim_conflicts == claims.conflicts);
  CHECK(present[0].run.stack == f.journal.all<StackAdvanced>().back().to);
  const auto told = f.open_runs.describe(*present[0].run.stack);
  REQUIRE(told);
  CHECK(told->layers[0].evidence.claimed == claim_of(start.layers[0]).diff_id);
}

TEST_CASE("after a restart claims are kept, and asked for again", "[agent][unit]") {
  Fixture f;
  f.records.names.container_id = f.records.names.name = "abc";
  const ContainerStart start = container(1, seconds(10));
  f.auditor.on_start(start);
  f.auditor.on_claims(answer(f, start));
  const StackDigest claimed = f.journal.all<StackAdvanced>().back().to;

  for (const LowerLayer& layer : start.layers)  // as the layer cache knows them: without claims
    f.identifier.known[ref_of(layer)] = shape_of(layer, true);
  Auditor next = f.make();
  next.resume();
  ContainerStart again = start;
  again.cause = StartCause::kSweep;
  next.on_start(again);
  CHECK(f.journal.all<RunStarted>().size() == 1);
  REQUIRE(f.claims.asked.size() == 2);
  CHECK(f.claims.asked[1].run_id == f.claims.asked[0].run_id);
  CHECK(f.journal.all<StackAdvanced>().back().from == claimed);  // the shapes are new
  const catalog::LayerEvidence& evidence = f.journal.stacks.back()->layers[0].evidence;
  CHECK(evidence.shape);
  CHECK(evidence.claimed == claim_of(start.layers[0]).diff_id);

  const std::size_t steps = f.journal.all<StackAdvanced>().size();
  next.on_claims(answer(f, start));  // as before: nothing to tell
  CHECK(f.journal.all<StackAdvanced>().size() == steps);
}
