// SPDX-License-Identifier: Apache-2.0
// When the auditor has roots looked into, and what it tells of what was seen.
#include <catch2/catch.hpp>

#include "tests/unit/agent/auditor_fixture.h"

namespace assay::agent {
namespace {

using namespace tests;
using namespace std::chrono_literals;

struct ManualViews final : ViewChecker {
  void check(ViewTask task, Callback) override { asked.push_back(std::move(task)); }
  std::vector<ViewTask> asked;
};

ContentDigest content_of(const LowerLayer& layer) {
  return ContentDigest{sha256("content " + std::to_string(layer.inode)).bytes};
}

LayerResult content_result(const LowerLayer& layer, bool is_capped = false) {
  LayerResult result = shape_of(layer, true);
  result.layer.evidence.content = content_of(layer);
  result.layer.evidence.deletions = DeletionsDigest{sha256("none").bytes};
  result.layer.evidence.is_capped_at_shape = is_capped;
  return result;
}

/// A base of the two layers that container() stands on.
std::shared_ptr<const catalog::Catalog> catalog_of_layers() {
  catalog::Base base;
  base.id = {"debian", "12"};
  base.status = catalog::BaseStatus::kApproved;
  catalog::BaseStack stack;
  for (const LowerLayer& layer : container(1, {}).layers)
    stack.layers.push_back({std::nullopt, *shape_of(layer, true).layer.evidence.shape,
                            content_of(layer), DeletionsDigest{sha256("none").bytes}, 1, 1});
  base.stacks.push_back(stack);
  std::map<catalog::BaseId, catalog::Base> bases{{base.id, base}};
  return std::make_shared<const catalog::Catalog>(std::string(32, 'a'), 7, bases,
                                                  catalog::Policy{});
}

catalog::View agreeing() {
  catalog::View view;
  view.state = catalog::ViewState::kAgrees;
  view.layers = 2;
  view.paths = 100;
  return view;
}

catalog::View differing() {
  catalog::View view = agreeing();
  view.state = catalog::ViewState::kDiffers;
  view.masked = 1;
  view.masked_paths = {"/bin/sh (edited in the container)"};
  return view;
}

struct Viewed : Fixture {
  ManualViews views;
  Auditor viewing{{journal,
                   identifier,
                   records,
                   open_runs,
                   source,
                   clock,
                   [](LayerResult) {},
                   {},
                   nullptr,
                   {},
                   nullptr,
                   &views,
                   [](ViewReport) {}},
                  {}};
  ContainerStart start = container(1, clock.boot);

  void know_all(bool is_capped = false) {
    for (std::size_t i = 0; i < start.layers.size(); ++i)
      viewing.on_layer(content_result(start.layers[i], is_capped && i == 1));
  }
  void report(catalog::View view, bool is_gone = false) {
    const ViewTask& task = views.asked.back();
    viewing.on_view({task.run_id, task.key, task.plan, std::move(view), is_gone});
  }
  std::vector<RunViewed> told() const { return journal.all<RunViewed>(); }
};

TEST_CASE("mounts are listed at the start, the whole view when all bytes are known",
          "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  REQUIRE(fixture.views.asked.size() == 1);
  CHECK(fixture.views.asked[0].plan.layers == 0);
  fixture.know_all();
  CHECK(fixture.views.asked.size() == 1);  // one at a time
  catalog::View quick;
  quick.reason = "only its mounts were looked at";
  fixture.report(quick);
  CHECK(fixture.told().empty());  // the whole look is still to come
  REQUIRE(fixture.views.asked.size() == 2);
  const ViewTask& task = fixture.views.asked[1];
  CHECK(task.plan == catalog::ViewPlan{2, {true, true}, false});
  CHECK(task.layers.size() == 2);
  CHECK(task.start.process.key == fixture.start.process.key);
  fixture.report(agreeing());
  REQUIRE(fixture.told().size() == 1);
  CHECK(fixture.told()[0].view == agreeing());
  CHECK_FALSE(fixture.told()[0].stack);
  CHECK(fixture.views.asked.size() == 2);
}

TEST_CASE("a catalog that comes later has what runs looked into", "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_start(fixture.start);
  fixture.know_all();
  fixture.report({});
  CHECK(fixture.views.asked.size() == 1);
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_tick();
  REQUIRE(fixture.views.asked.size() == 2);
  CHECK(fixture.views.asked[1].plan.layers == 2);
}

TEST_CASE("a run that hides its base stands alone on a stack that says so, for good",
          "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_catalog(catalog_of_layers());
  for (const LowerLayer& layer : fixture.start.layers)
    fixture.identifier.known[ref_of(layer)] = content_result(layer);
  fixture.viewing.on_start(container(2, fixture.clock.boot));
  fixture.report(agreeing());
  fixture.viewing.on_start(fixture.start);
  fixture.report(differing());
  REQUIRE(fixture.told().size() == 2);
  const RunViewed told = fixture.told()[1];
  REQUIRE(told.stack);
  const auto& stack = fixture.journal.stacks.back();
  REQUIRE(stack);
  CHECK(stack->is_masked);
  CHECK(*told.stack == catalog::digest_of(*stack));
  CHECK(fixture.journal.open_runs.rows.at(told.run_id).stack == *told.stack);
  const auto by_verdict = fixture.viewing.snapshot().running_by_verdict;
  CHECK(by_verdict.at(catalog::VerdictStatus::kApproved) == 1);
  CHECK(by_verdict.at(catalog::VerdictStatus::kPending) == 1);

  CHECK(fixture.viewing.check_views(told.run_id, {}) == 1);
  fixture.report(agreeing());
  REQUIRE(fixture.told().size() == 3);
  CHECK(fixture.told()[2].view.state == catalog::ViewState::kDiffers);
  CHECK_FALSE(fixture.told()[2].stack);
}

TEST_CASE("what the image itself hides withdraws nothing", "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  fixture.know_all();
  fixture.report({});
  catalog::View view = differing();
  view.by_image = view.masked;
  fixture.report(view);
  REQUIRE(fixture.told().size() == 1);
  CHECK_FALSE(fixture.told()[0].stack);
}

TEST_CASE("a whole view lifts a cap, unless metacopy serves other bytes", "[agent][unit]") {
  Viewed fixture;
  bool is_lifted = true;
  SECTION("redirects only") {}
  SECTION("metacopy") {
    fixture.start.overlay.metacopy = true;
    is_lifted = false;
  }
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  fixture.know_all(/*is_capped=*/true);
  fixture.report({});
  CHECK(fixture.views.asked.back().plan.is_lift_wanted);
  fixture.report(agreeing());
  REQUIRE(fixture.told().size() == 1);
  CHECK(fixture.told()[0].stack.has_value() == is_lifted);
  CHECK(fixture.views.asked.size() == 2);  // the new stack asks for nothing more
}

TEST_CASE("a view that is not whole lifts nothing", "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  fixture.know_all(/*is_capped=*/true);
  fixture.report({});
  catalog::View view = agreeing();
  view.covered = 1;
  fixture.report(view);
  REQUIRE(fixture.told().size() == 1);
  CHECK_FALSE(fixture.told()[0].stack);
}

TEST_CASE("a container that went before is unchecked, and that takes nothing back",
          "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  fixture.know_all();
  fixture.report({});
  catalog::View gone;
  gone.reason = "no process of the run is left";
  SECTION("nothing is told of what every run is") {
    fixture.report(gone, true);
    CHECK(fixture.told().empty());
  }
  SECTION("why it could not be looked at is told") {
    gone.reason = "no permission";
    fixture.report(gone);
    REQUIRE(fixture.told().size() == 1);
    CHECK(fixture.told()[0].view == gone);
  }
  SECTION("what was seen before stays") {
    fixture.report(agreeing());
    fixture.viewing.check_views("", {});
    fixture.report(gone, true);
    CHECK(fixture.told().size() == 1);
  }
}

TEST_CASE("who asks for a look gets one that begins after the question", "[agent][unit]") {
  Viewed fixture;
  fixture.records.names.name = "web";
  fixture.records.names.container_id = std::string(64, 'a');
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  std::vector<catalog::View> answers;
  const auto note = [&](const RunId&, const catalog::View& view) { answers.push_back(view); };
  CHECK(fixture.viewing.check_views("another", note) == 0);
  CHECK(fixture.viewing.check_views("web", note) == 1);
  CHECK(fixture.viewing.check_views("aaaaaaaaaaaa", note) == 1);
  fixture.report(agreeing());  // of a look that was under way
  CHECK(answers.empty());
  fixture.report(differing());
  CHECK(answers == std::vector{differing(), differing()});
  fixture.viewing.check_views("web", note);
  fixture.viewing.on_sweep(sweep(fixture.clock.boot += 1s, {}));
  REQUIRE(answers.size() == 3);
  CHECK(answers[2].state == catalog::ViewState::kUnchecked);
  CHECK(answers[2].reason == "the run ended");
}

TEST_CASE("a full state tells what was seen", "[agent][unit]") {
  Viewed fixture;
  fixture.viewing.on_catalog(catalog_of_layers());
  fixture.viewing.on_start(fixture.start);
  fixture.know_all();
  fixture.report({});
  fixture.report(differing());
  fixture.viewing.on_state_request(5);
  fixture.clock.boot += 1s;
  fixture.viewing.on_sweep(sweep(fixture.clock.boot, {fixture.start.key}));
  const auto present = fixture.journal.all<RunPresent>();
  REQUIRE(present.size() == 1);
  CHECK(present[0].view == differing());
}

}  // namespace
}  // namespace assay::agent
