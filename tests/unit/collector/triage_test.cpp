// SPDX-License-Identifier: Apache-2.0
// What people do about findings, on the whole commit loop and a real store.
#include "collector/core/triage.h"
#include "tests/unit/collector/commit_bench.h"

namespace assay::collector {
namespace {

using catalog::BaseStatus;
using catalog::FindingKind;
using namespace tests;
using namespace std::chrono_literals;

std::shared_ptr<const catalog::Catalog> debian(std::uint64_t sequence, BaseStatus status) {
  return make_catalog(sequence, {base("debian:12", status, {1})});
}

struct Triaged : Bench {
  Triaged() : Bench(debian(1, BaseStatus::kApproved)) {
    start_run(1, stack(kNode, {layer(9)}));
    id = findings().front().finding_id;
  }
  std::vector<FindingView> findings(const FindingFilter& filter = {}) {
    return store->list_findings(filter, std::nullopt, 100)->rows;
  }
  std::vector<FindingView> unmuted() {
    FindingFilter filter;
    filter.include_muted = false;
    return findings(filter);
  }
  Result<TriageOutcome> apply(TriageAction action, const std::string& note = "",
                              const std::string& who = "user:ann") {
    return apply({id,
                  action,
                  note,
                  action == TriageAction::kAssign ? "bob" : "",
                  action == TriageAction::kMute ? to_unix_ns(clock.wall_now() + 24h) : 0,
                  0,
                  {who, "ipv4:192.0.2.7:1"},
                  to_unix_ns(clock.wall_now())});
  }
  Result<TriageOutcome> apply(const TriageChange& change) {
    ASSAY_TRY(check_triage(change, 90 * 24h));
    const auto outcome = std::make_shared<TriageOutcome>();
    ASSAY_TRY(loop->change(100, [change, outcome](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(*outcome, apply_triage(writer, change));
      return ok();
    }));
    return *outcome;
  }
  FindingDetailView detail() { return *store->finding(id); }

  std::string id;
};

TEST_CASE("who acknowledged a finding is on record, once", "[collector][unit]") {
  Triaged here;
  CHECK(here.detail().finding.triage.word() == "new");
  CHECK(here.apply(TriageAction::kAcknowledge, "looking")->is_changed);
  const auto again = here.apply(TriageAction::kAcknowledge, "", "user:bob");
  CHECK_FALSE(again->is_changed);
  CHECK_THAT(again->said, Catch::Contains("already by user:ann"));
  const auto detail = here.detail();
  CHECK(detail.finding.triage.acknowledged_by == "user:ann");
  CHECK(detail.finding.triage.acknowledged_note == "looking");
  REQUIRE(detail.history.size() == 1);
  CHECK(detail.history[0].action == "acknowledge");
  const auto log = here.store->list_audit({"ann", "finding", "done", 0}, std::nullopt, 10);
  REQUIRE(log->rows.size() == 1);
  CHECK(log->rows[0].peer == "ipv4:192.0.2.7:1");
  CHECK_THAT(log->rows[0].subject, Catch::Contains(here.id));
}

TEST_CASE("of two people at once both are told, and nothing is lost", "[collector][unit]") {
  Triaged here;
  const std::uint64_t seen = here.detail().finding.triage.revision + 1;
  CHECK(here.apply(TriageAction::kAssign)->is_changed);
  TriageChange late{here.id, TriageAction::kAssign, "", "carl", 0, seen, {"user:carl", ""}, 5};
  const auto refused = here.apply(late);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == ErrorCode::kAlreadyExists);
  late.revision = 0;
  CHECK_THAT(here.apply(late)->said, Catch::Contains("was assigned to bob by user:ann"));
  CHECK(here.detail().finding.triage.assignee == "carl");
  CHECK(here.detail().history.size() == 2);
}

TEST_CASE("a muted finding is left out until its end, then it is back and says why",
          "[collector][unit]") {
  Triaged here;
  CHECK(here.apply(TriageAction::kMute, "known")->is_changed);
  CHECK_FALSE(here.apply(TriageAction::kMute, "known")->is_changed);
  CHECK(here.unmuted().empty());
  CHECK(here.findings().size() == 1);
  CHECK(here.store->finding_counts()->muted == 1);
  here.start(debian(1, BaseStatus::kApproved));  // a restart forgets nothing
  CHECK(here.unmuted().empty());
  here.clock.advance(23h);
  here.start_run(2, stack(kNode, {layer(1)}));
  CHECK(here.unmuted().empty());
  here.clock.advance(2h);
  CHECK(eventually([&] { return here.unmuted().size() == 1; }));
  const auto detail = here.detail();
  CHECK(detail.history[0].actor == "collector");
  CHECK(detail.history[0].note == "the mute ended");
  CHECK(here.store->finding_counts()->muted == 0);
}

TEST_CASE("a muted finding comes back when the verdict on its run changes, not at a mere round",
          "[collector][unit]") {
  Triaged here;
  CHECK(here.apply(TriageAction::kMute, "known"));
  here.change_catalog(debian(2, BaseStatus::kDeprecated));  // judged again: as unknown as before
  CHECK(here.unmuted().empty());
  // Another base: the run stands on a revoked one now. That finding is new, and not muted.
  here.change_catalog(make_catalog(3, {base("evil:1", BaseStatus::kRevoked, {9})}));
  REQUIRE(here.unmuted().size() == 1);
  CHECK(here.unmuted()[0].kind == FindingKind::kRevokedBase);
}

TEST_CASE("a muted finding whose verdict changes beneath it is back and says from what to what",
          "[collector][unit]") {
  Bench bench(make_catalog(1, {base("debian:12", BaseStatus::kRevoked, {1}),
                               base("java:17", BaseStatus::kApproved, {1, 2})}));
  bench.start_run(1, stack(kNode, {layer(1), layer(2)}));
  const auto open = bench.store->list_findings({}, std::nullopt, 10)->rows;
  REQUIRE(open.size() == 1);
  const TriageChange mute{open[0].finding_id,
                          TriageAction::kMute,
                          "known",
                          "",
                          to_unix_ns(bench.clock.wall_now() + 24h),
                          0,
                          {"user:ann", ""},
                          to_unix_ns(bench.clock.wall_now())};
  REQUIRE(bench.loop->change(10, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(apply_triage(writer, mute));
    return ok();
  }));
  CHECK(bench.store->finding_counts()->muted == 1);
  // The longest base names the run: without it debian:12 does.
  bench.change_catalog(make_catalog(2, {base("debian:12", BaseStatus::kRevoked, {1})}));
  const auto detail = bench.store->finding(open[0].finding_id);
  CHECK(detail->finding.resolved_ns == 0);
  CHECK(detail->finding.triage.muted_until_ns == 0);
  CHECK_THAT(detail->history[0].note,
             Catch::Contains("on java:17") && Catch::Contains("on debian:12"));
}

TEST_CASE("a muted finding comes back when its reason changes, not when its counters grow",
          "[collector][unit]") {
  Triaged here;
  REQUIRE(here.record({{here.event(RunNoisy{run_id(1), "execs", 1, 2, 100, 50, false})}, {}}));
  for (const auto& finding : here.findings())
    if (finding.kind == FindingKind::kNoisy) here.id = finding.finding_id;
  CHECK(here.apply(TriageAction::kMute, "a build"));
  REQUIRE(here.record({{here.event(RunNoisy{run_id(1), "execs", 1, 3, 900, 50, false})}, {}}));
  const std::string before = here.detail().finding.reason;
  CHECK_THAT(before, Catch::Contains("900 execs"));
  CHECK(here.detail().finding.triage.word() == "muted");
  REQUIRE(here.record({{here.event(RunNoisy{run_id(1), "execs", 1, 4, 950, 500, false})}, {}}));
  CHECK(here.detail().finding.triage.word() == "new");
  CHECK(here.detail().history[0].note == "its reason changed; it was: " + before);
}

TEST_CASE("reopen takes everything away again, and what cannot be is an error",
          "[collector][unit]") {
  Triaged here;
  CHECK_FALSE(here.apply(TriageAction::kReopen)->is_changed);
  CHECK_FALSE(here.apply(TriageAction::kUnmute)->is_changed);
  CHECK(here.apply(TriageAction::kAcknowledge));
  CHECK(here.apply(TriageAction::kAssign));
  CHECK(here.apply(TriageAction::kMute, "x"));
  CHECK(here.apply(TriageAction::kReopen)->is_changed);
  const TriageState state = here.detail().finding.triage;
  CHECK(state.word() == "new");
  CHECK(state.assignee.empty());
  CHECK(here.detail().history.size() == 4);
  CHECK(here.apply(TriageAction::kMute).error().message == "a mute needs a reason");
  const std::int64_t now = to_unix_ns(here.clock.wall_now());
  TriageChange change{here.id, TriageAction::kMute, "x", "", now - 1, 0, {}, now};
  CHECK_THAT(here.apply(change).error().message, Catch::Contains("has passed"));
  change.muted_until_ns = now + std::chrono::nanoseconds(91 * 24h).count();
  CHECK_THAT(here.apply(change).error().message, Catch::Contains("triage.max_mute"));
  here.id = "0123";
  CHECK(here.apply(TriageAction::kAcknowledge).error().code == ErrorCode::kInvalidArgument);
  here.id = std::string(32, 'f');
  CHECK(here.apply(TriageAction::kAcknowledge).error().code == ErrorCode::kNotFound);
}

TEST_CASE("a finding is found by how its id begins, when that is one", "[collector][unit]") {
  Triaged here;
  const std::string id = here.id;
  here.id = id.substr(0, 20);
  CHECK(here.apply(TriageAction::kAcknowledge)->finding_id == id);
  here.start_run(2, stack(kNode, {layer(8)}));  // at the same time: the first 16 digits are equal
  here.id = id.substr(0, 16);
  CHECK_THAT(here.apply(TriageAction::kAssign).error().message,
             Catch::Contains("several findings"));
}

TEST_CASE("there is nothing to do about what is resolved", "[collector][unit]") {
  Triaged here;
  here.end_run(1);
  CHECK_THAT(here.apply(TriageAction::kMute, "x").error().message, Catch::Contains("was resolved"));
}

}  // namespace
}  // namespace assay::collector
