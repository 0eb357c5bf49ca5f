// SPDX-License-Identifier: Apache-2.0
// Layers that were proven by their tar streams, and those that were found to be others.
#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;

const DiffId kDiffId{sha256("the layer").bytes};
const ContentDigest kContent{sha256("its content").bytes};
constexpr const char* kText = "the store's blob gives the diff ID: /a (content)";

/// A container on two layers, the lower one with content and claim.
struct Proven : Fixture {
  LowerLayer layer = container(1, clock.boot).layers[0];
  LayerExact exact{ref_of(layer), kDiffId, *shape_of(layer, true).layer.evidence.shape, kContent};

  Proven() {
    claims.known[ref_of(layer)] = {ref_of(layer), kDiffId, std::nullopt, false, {}};
    start(1);
    auditor.on_layer(content());
  }
  void start(std::uint64_t upper) { auditor.on_start(container(upper, clock.boot)); }
  LayerResult content() const {
    LayerResult result = shape_of(layer, true);
    result.layer.evidence.content = kContent;
    return result;
  }
  std::optional<DiffId> told() const {
    for (auto stack = journal.stacks.rbegin(); stack != journal.stacks.rend(); ++stack)
      if (*stack) return (*stack)->layers[0].evidence.exact;
    return std::nullopt;
  }
  std::vector<LayerTask> to_prove() {
    return auditor.layers_to_prove([](const LayerRef&, bool) { return true; });
  }
  std::vector<std::string> conflicts(const RunId& run) const {
    std::vector<std::string> last;
    for (const RunNamed& named : journal.all<RunNamed>())
      if (named.run_id == run) last = named.claim_conflicts;
    return last;
  }
};

TEST_CASE("a proven layer reaches the rung exact in the stacks that hold it", "[agent][unit]") {
  Proven fixture;
  fixture.auditor.on_exact(fixture.exact);
  CHECK(fixture.told() == kDiffId);
  CHECK(fixture.journal.all<StackAdvanced>().size() == 2);
  fixture.auditor.on_exact(fixture.exact);  // no news
  CHECK(fixture.journal.all<StackAdvanced>().size() == 2);
  fixture.auditor.on_layer(fixture.content());  // told again, without the proof
  CHECK(fixture.told() == kDiffId);
}

TEST_CASE("a proof counts for what was proven, and nothing else", "[agent][unit]") {
  Proven fixture;
  SECTION("other content") {
    fixture.exact.content = ContentDigest{sha256("other").bytes};
  }
  SECTION("other shape") {
    fixture.exact.shape = ShapeDigest{sha256("other").bytes};
  }
  SECTION("another layer than is claimed") {
    fixture.exact.diff_id = DiffId{};
  }
  SECTION("another directory") {
    ++fixture.exact.ref.generation;
  }
  fixture.auditor.on_exact(fixture.exact);
  CHECK_FALSE(fixture.told());
  CHECK(fixture.journal.all<StackAdvanced>().size() == 1);
}

TEST_CASE("a layer that was changed is proven no more", "[agent][unit]") {
  Proven fixture;
  fixture.auditor.on_exact(fixture.exact);
  fixture.auditor.on_tampering({ref_of(fixture.layer), "/a (content)", true});
  const RunKey key = container(1, fixture.clock.boot).key;
  fixture.clock.boot += std::chrono::seconds(1);
  fixture.auditor.on_sweep(sweep(fixture.clock.boot, {key}));
  CHECK_FALSE(fixture.told());
  CHECK(fixture.to_prove().empty());
  fixture.auditor.on_exact(fixture.exact);
  CHECK_FALSE(fixture.told());
}

TEST_CASE("a mismatch is told of every run on the layer, now and later", "[agent][unit]") {
  Proven fixture;
  fixture.auditor.on_exact(fixture.exact);
  fixture.start(2);
  fixture.auditor.on_mismatch({ref_of(fixture.layer), kText});
  CHECK_FALSE(fixture.told());
  fixture.start(3);
  const auto runs = fixture.journal.all<RunStarted>();
  REQUIRE(runs.size() == 3);
  for (const RunStarted& run : runs)
    CHECK(fixture.conflicts(run.run_id) ==
          std::vector{"layer 1's tar stream: " + std::string(kText)});
  const std::size_t told = fixture.journal.events.size();
  fixture.auditor.on_mismatch({ref_of(fixture.layer), kText});  // found again by the next check
  CHECK(fixture.journal.events.size() == told);
}

TEST_CASE("a layer is to be proven once its bytes are known", "[agent][unit]") {
  Proven fixture;
  const auto layers = fixture.to_prove();
  REQUIRE(layers.size() == 1);  // of the other one nothing is known
  CHECK(ref_of(layers[0].layer) == ref_of(fixture.layer));
  CHECK(fixture.auditor.layers_to_prove([](const LayerRef&, bool) { return false; }).empty());
  bool was_exact = true;
  const auto note = [&](const LayerRef&, bool is_exact) { return was_exact = is_exact; };
  CHECK(fixture.auditor.layers_to_prove(note).empty());
  CHECK_FALSE(was_exact);
  fixture.auditor.on_exact(fixture.exact);
  CHECK(fixture.auditor.layers_to_prove(note).size() == 1);
  CHECK(was_exact);
}

TEST_CASE("why a layer cannot be proven is noted where the policy asks for proofs",
          "[agent][unit]") {
  Proven fixture;
  const LayerUnproven unproven{ref_of(fixture.layer), "no tar stream: it is gone"};
  fixture.auditor.on_unproven(unproven);
  CHECK(fixture.journal.all<StackAdvanced>().size() == 1);
  catalog::Policy policy;
  policy.required_rung = catalog::Rung::kExact;
  fixture.auditor.on_catalog(std::make_shared<const catalog::Catalog>(
      "id", 1, std::map<catalog::BaseId, catalog::Base>(), policy));
  fixture.auditor.on_unproven(unproven);
  REQUIRE(fixture.journal.all<StackAdvanced>().size() == 2);
  CHECK(fixture.journal.stacks.back()->layers[0].evidence.gap == unproven.reason);
  fixture.auditor.on_exact(fixture.exact);
  CHECK(fixture.journal.stacks.back()->layers[0].evidence.gap.empty());
  CHECK(fixture.told() == kDiffId);
}

}  // namespace
}  // namespace assay::agent
