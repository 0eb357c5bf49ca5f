// SPDX-License-Identifier: Apache-2.0
// Rules and exemptions of the policy on a whole commit loop, and the questions before they are set.
#include "collector/core/discovery.h"
#include "collector/core/policy_trial.h"
#include "tests/unit/collector/commit_bench.h"

namespace assay::collector {
namespace {

using catalog::BaseStatus;
using catalog::FindingKind;
using catalog::VerdictStatus;
using namespace tests;

const std::vector<FindingKind> kNothing;

std::shared_ptr<const catalog::Catalog> with_policy(std::uint64_t sequence, catalog::Base base,
                                                    const catalog::Policy& policy) {
  return std::make_shared<const catalog::Catalog>(
      make_catalog(sequence, {std::move(base)})->with_policy(policy));
}

catalog::Base debian(BaseStatus status, const Clock& clock) {
  catalog::Base made = base("debian:12", status, {1});
  made.approved_at = made.built_at = clock.wall_now();
  return made;
}

catalog::Exemption exemption_of(const std::string& container, WallTime until) {
  catalog::Exemption exemption;
  exemption.base = "debian";
  exemption.container = container;
  exemption.owner = "web@example.org";
  exemption.reason = "moves in May";
  exemption.until = until;
  return exemption;
}

void start_named(Bench& bench, int n, bool is_bound) {
  const catalog::Stack on = stack(kNode, {layer(1), layer(2)});
  RunStarted start = run_started(n, catalog::digest_of(on), to_unix_ns(bench.clock.wall_now()));
  start.names.is_bound_to_kernel = is_bound;
  REQUIRE(bench.record({{bench.event(start)}, {on}}));
}

VerdictStatus status_of(Bench& bench, int n) {
  return bench.store->trace(run_id(n), "")->run.verdict.status;
}

TEST_CASE("a date of a rule re-judges what runs, without any command", "[collector][unit]") {
  FakeClock clock;
  catalog::Policy policy;
  policy.since_build = std::chrono::hours(1);
  Bench bench(with_policy(1, debian(BaseStatus::kApproved, clock), policy));
  start_named(bench, 1, true);
  CHECK(status_of(bench, 1) == VerdictStatus::kApproved);
  bench.clock.advance(std::chrono::minutes(59));
  REQUIRE(bench.loop->drain(std::chrono::seconds(30)));
  CHECK(bench.open_kinds() == kNothing);
  bench.clock.advance(std::chrono::minutes(1));
  CHECK(eventually([&] { return bench.open_kinds() == std::vector{FindingKind::kExpiredBase}; }));
  CHECK(status_of(bench, 1) == VerdictStatus::kExpired);
}

/// What a scanner found in debian:12 itself.
ScanImport scan_of(std::uint8_t fill, std::int64_t scanned_ns, std::size_t criticals) {
  catalog::ScanReport report;
  report.format = catalog::ScanFormat::kTrivy;
  report.tool = "trivy";
  for (std::size_t i = 0; i < criticals; ++i) {
    catalog::ScanFinding finding;
    finding.id = "CVE-" + std::to_string(i);
    finding.severity = catalog::Severity::kCritical;
    report.findings.push_back(std::move(finding));
  }
  ScanImport scan;
  scan.report = std::make_shared<const catalog::ScanReport>(std::move(report));
  scan.digest.bytes.fill(fill);
  scan.scanned_ns = scanned_ns;
  scan.aims = {{*catalog::BaseId::parse("debian:12"),
                catalog::ScanScope::kBase,
                "image-id",
                std::vector<catalog::Origin>(criticals),
                {}}};
  return scan;
}

TEST_CASE("a scan that is imported re-judges what runs", "[collector][unit]") {
  FakeClock clock;
  catalog::Policy policy;
  policy.severity_limits.critical = 0;
  Bench bench(with_policy(1, debian(BaseStatus::kApproved, clock), policy));
  start_named(bench, 1, true);
  CHECK(bench.open_kinds() == kNothing);
  const std::int64_t now_ns = to_unix_ns(bench.clock.wall_now());
  auto dry = scan_of(1, now_ns, 2);
  dry.is_dry_run = true;
  REQUIRE(bench.loop->import_scan(dry));
  REQUIRE(bench.loop->import_scan(scan_of(2, now_ns, 2)));
  CHECK(eventually([&] { return bench.open_kinds() == std::vector{FindingKind::kExpiredBase}; }));
  CHECK(status_of(bench, 1) == VerdictStatus::kExpired);
  REQUIRE(bench.loop->import_scan(scan_of(3, now_ns + 1, 0)));
  CHECK(eventually([&] { return bench.open_kinds() == kNothing; }));
}

TEST_CASE("a base that was never scanned does not meet a rule that wants a scan",
          "[collector][unit]") {
  FakeClock clock;
  catalog::Policy policy;
  policy.requires_scan = true;
  Bench bench(with_policy(1, debian(BaseStatus::kApproved, clock), policy));
  start_named(bench, 1, true);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kExpiredBase});
  CHECK(bench.loop->recorder_counts().verdict_differences == 0);
}

TEST_CASE("an exemption keeps a finding closed until it ends", "[collector][unit]") {
  FakeClock clock;
  catalog::Policy policy;
  const WallTime until = clock.wall_now() + std::chrono::hours(1);
  policy.exemptions = {exemption_of("web-1", until)};
  Bench bench(with_policy(1, debian(BaseStatus::kRevoked, clock), policy));
  start_named(bench, 1, true);
  start_named(bench, 2, true);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kRevokedBase});
  const auto exempt = bench.store->trace(run_id(1), "");
  CHECK(exempt->run.verdict.status == VerdictStatus::kRevoked);  // the base is what it is
  CHECK(exempt->run.exemption.find("web@example.org: moves in May") != std::string::npos);
  REQUIRE(exempt->findings.size() == 1);  // in the history, and closed
  CHECK(exempt->findings[0].resolved_reason == exempt->run.exemption);
  bench.clock.advance(std::chrono::hours(1));
  CHECK(eventually([&] { return bench.open_kinds().size() == 2; }));
  CHECK(bench.store->trace(run_id(1), "")->run.exemption.empty());
}

TEST_CASE("a new policy closes and opens findings of runs whose verdict stays",
          "[collector][unit]") {
  FakeClock clock;
  const catalog::Base revoked = debian(BaseStatus::kRevoked, clock);
  Bench bench(with_policy(1, revoked, {}));
  for (int n = 1; n <= 5; ++n)
    start_named(bench, n, true);
  CHECK(bench.open_kinds().size() == 5);
  catalog::Policy policy;
  policy.exemptions = {exemption_of("web-*", clock.wall_now() + std::chrono::hours(1))};
  bench.change_catalog(with_policy(2, revoked, policy));
  CHECK(bench.open_kinds() == kNothing);
  bench.change_catalog(with_policy(3, revoked, {}));
  CHECK(bench.open_kinds().size() == 5);
}

TEST_CASE("names that nothing confirms are not exempt, until something does", "[collector][unit]") {
  FakeClock clock;
  catalog::Policy policy;
  policy.exemptions = {exemption_of("web-*", clock.wall_now() + std::chrono::hours(1))};
  Bench bench(with_policy(1, debian(BaseStatus::kRevoked, clock), policy));
  start_named(bench, 1, false);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kRevokedBase});
  CHECK(bench.store->list_findings({}, std::nullopt, 1)
            ->rows[0]
            .reason.find("nothing confirms its names") != std::string::npos);
  RunNamed named{run_id(1), run_started(1, {}, 0).names, {}};
  named.names.is_bound_to_kernel = true;
  REQUIRE(bench.record({{bench.event(named)}, {}}));
  CHECK(bench.open_kinds() == kNothing);
  named.claim_conflicts = {"docker's record: it names 3 layers, the container stands on 2"};
  REQUIRE(bench.record({{bench.event(named)}, {}}));
  CHECK(bench.open_kinds() == std::vector{FindingKind::kRevokedBase, FindingKind::kMismatch});
}

TEST_CASE("a policy that is tried says what would change, and changes nothing",
          "[collector][unit]") {
  FakeClock clock;
  const auto before = with_policy(1, debian(BaseStatus::kRevoked, clock), {});
  Bench bench(before);
  for (int n = 1; n <= 3; ++n)
    start_named(bench, n, true);
  bench.start_run(9, stack(kNode, {layer(7)}));
  catalog::Policy exempting;
  exempting.exemptions = {exemption_of("web-2", clock.wall_now() + std::chrono::hours(1))};
  const auto one = try_policy(*bench.store, *before, exempting, clock.wall_now());
  REQUIRE(one);
  CHECK(one->running == 4);
  CHECK(one->changed == 0);
  REQUIRE(one->findings.size() == 1);
  CHECK(one->findings[0].kind == FindingKind::kRevokedBase);
  CHECK(one->findings[0].resolved == 1);
  CHECK(one->findings[0].opened == 0);
  catalog::Policy sure;
  sure.revoked_rung = catalog::Rung::kExact;
  const auto other = try_policy(*bench.store, *before, sure, clock.wall_now());
  REQUIRE(other);
  CHECK(other->changed == 3);
  REQUIRE(other->groups.size() == 1);
  CHECK(other->groups[0].before == VerdictStatus::kRevoked);
  CHECK(other->groups[0].after == VerdictStatus::kPending);
  CHECK(other->groups[0].base == "debian:12");
  CHECK(other->groups[0].running == 3);
  CHECK(other->runs.size() == 3);
  CHECK(bench.open_kinds() == std::vector{FindingKind::kUnknownBase, FindingKind::kRevokedBase,
                                          FindingKind::kRevokedBase, FindingKind::kRevokedBase});
}

TEST_CASE("images that part are proposed where they part", "[collector][unit]") {
  Bench bench(make_catalog(1, {}));
  bench.start_run(1, stack(kNode, {layer(1), layer(2), layer(10)}));
  bench.start_run(2, stack(kNode, {layer(1), layer(2), layer(11)}));
  bench.start_run(3, stack(kNode, {layer(1), layer(3)}));
  bench.start_run(4, stack(kNode, {layer(20), layer(21)}));
  bench.start_run(5, stack(kNode, {layer(30, false)}));
  const auto found = discover(*bench.store, 50);
  REQUIRE(found);
  CHECK(found->running == 5);
  CHECK(found->not_read == 1);
  REQUIRE(found->proposals.size() == 3);
  const Proposal& all = found->proposals[0];
  CHECK(all.layers.size() == 1);
  CHECK(all.running == 3);
  CHECK(all.images == 3);
  CHECK(all.nodes == 1);
  CHECK_FALSE(all.is_whole);
  CHECK(all.example_images == std::vector<std::string>{"registry.example/web:1"});
  const Proposal& some = found->proposals[1];
  CHECK(some.layers.size() == 2);
  CHECK(some.running == 2);
  CHECK(some.below == all.id);
  const Proposal& alone = found->proposals[2];
  CHECK(alone.layers.size() == 2);
  CHECK(alone.is_whole);
  CHECK(discover(*bench.store, 1)->proposals.size() == 1);
}

TEST_CASE("what stands on a base is not proposed again", "[collector][unit]") {
  FakeClock clock;
  Bench bench(with_policy(1, debian(BaseStatus::kApproved, clock), {}));
  bench.start_run(1, stack(kNode, {layer(1), layer(2)}));
  const auto found = discover(*bench.store, 50);
  REQUIRE(found);
  CHECK(found->running == 0);
  CHECK(found->proposals.empty());
}

TEST_CASE("impact counts runs by namespace and owner, with their oldest start",
          "[collector][unit]") {
  FakeClock clock;
  Bench bench(with_policy(1, debian(BaseStatus::kApproved, clock), {}));
  const catalog::Stack on = stack(kNode, {layer(1), layer(2)});
  const std::int64_t now_ns = to_unix_ns(bench.clock.wall_now());
  for (int n = 1; n <= 3; ++n) {
    RunStarted start = run_started(n, catalog::digest_of(on), now_ns - n);
    start.names.pod_namespace = n == 3 ? "shop" : "payments";
    start.names.labels = {{"owner", n == 3 ? "shop@example.org" : "pay@example.org"}};
    REQUIRE(bench.record({{bench.event(start)}, {on}}));
  }
  bench.start_run(4, stack(kNode, {layer(9)}));
  bench.end_run(1);
  const auto impact = bench.store->impact("debian:12");
  REQUIRE(impact);
  CHECK(impact->running == 2);
  CHECK(impact->running_total == 3);
  CHECK(impact->nodes == 1);
  CHECK(impact->namespaces == 2);
  CHECK(impact->owners == 2);
  CHECK(impact->since_ns == now_ns - 3);
  REQUIRE(impact->groups.size() == 2);
  CHECK(impact->groups[0].owner == "pay@example.org");
  CHECK(impact->groups[0].running == 1);
  CHECK(impact->groups[1].pod_namespace == "shop");
  CHECK(bench.store->impact("debian")->running == 2);
  CHECK(bench.store->impact("debian:13")->running == 0);
}

}  // namespace
}  // namespace assay::collector
