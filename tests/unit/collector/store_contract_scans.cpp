// SPDX-License-Identifier: Apache-2.0
// The scans' part of the contract.
#include "tests/unit/collector/store_contract.h"

#include "tests/unit/collector/support.h"

namespace assay::collector::tests {
namespace {

/// Two runs of one image on debian:12, of which the second has ended.
void add_runs(Store& store) {
  const NodeKey key{"test", "node-1"};
  const catalog::Stack description = stack(key, {layer(1)});
  const StackDigest digest = catalog::digest_of(description);
  write(store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const NodeId node, writer.node_id(key));
    ASSAY_ASSIGN(const StackId id, writer.add_stack(node, digest));
    ASSAY_TRY(writer.describe_stack(id, node, description));
    catalog::Verdict verdict;
    verdict.matches = {{*catalog::BaseId::parse("debian:12"), catalog::VerdictStatus::kApproved,
                        catalog::Rung::kContent, 1}};
    ASSAY_TRY(writer.set_verdict({id, true, 0, {}}, verdict, 1));
    for (const int n : {1, 2}) {
      const RunStarted start = run_started(n, digest, 100 * n);
      ASSAY_ASSIGN(const auto added, writer.add_run({node, id, &start, false}));
      REQUIRE(added);
    }
    ASSAY_ASSIGN(const auto last, writer.find_run(node, run_started(2, digest, 200).run_id));
    REQUIRE(last);
    ASSAY_ASSIGN(const auto first, writer.find_run(node, run_started(1, digest, 100).run_id));
    REQUIRE(first);
    ContainerNames names;
    names.config_digest = ConfigDigest{};
    names.config_digest->bytes.fill(5);
    ASSAY_TRY(writer.name_run(first->key, names));
    ASSAY_TRY(writer.name_run(last->key, names));
    return writer.end_run(*last, 300, false, 300);
  });
}

ScanView scan_of(const char* base, std::uint8_t fill, std::int64_t scanned_ns,
                 const char* tool = "trivy") {
  ScanView scan;
  scan.base = *catalog::BaseId::parse(base);
  scan.digest.bytes.fill(fill);
  scan.format = catalog::ScanFormat::kTrivy;
  scan.tool = tool;
  scan.tool_version = "1";
  scan.matched_by = "diff-ids";
  scan.image = "example.org/image:1";
  scan.image_id = ConfigDigest{};
  scan.image_id->bytes.fill(fill);
  scan.scanned_ns = scanned_ns;
  scan.is_time_said = true;
  scan.imported_ns = 1000;
  scan.imported_by = "user:me";
  return scan;
}

StoredFinding stored_finding(const std::string& id, catalog::Origin origin) {
  StoredFinding stored;
  stored.finding = {id,
                    {"GHSA-" + id},
                    catalog::Severity::kHigh,
                    "high",
                    "libc6",
                    "pkg:deb/x/libc6",
                    "2.36",
                    "2.37",
                    DiffId{},
                    catalog::Applicability::kAffected,
                    "fixed"};
  stored.origin = origin;
  return stored;
}

/// Adds a scan with one finding.
ScanKey add_scan(Store& store, const ScanView& scan, const StoredFinding& found,
                 const ScanCounts& counts) {
  ScanKey key{};
  write(store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const auto added, writer.add_scan(scan));
    if (!added) return Error{ErrorCode::kAlreadyExists, "the scan is there already"};
    key = *added;
    ASSAY_TRY(writer.add_scan_findings(key, {found}));
    return writer.set_scan_counts(key, counts);
  });
  return key;
}

void check_scans(const OpenStore& open) {
  ScanCounts counts;
  counts.base = {1, 2, 3, 4, 5};
  counts.excluded = 6;
  counts.application = 7;
  counts.unattributed = 8;
  ScanView first = scan_of("debian:12", 1, 100);
  const StoredFinding found = stored_finding("CVE-1", catalog::Origin::kBase);
  {
    const auto store = open();
    first.key = add_scan(*store, first, found, counts);
    first.counts = counts;
    add_scan(*store, scan_of("debian:12", 2, 90), found, {});
    add_scan(*store, scan_of("alpine:3", 1, 50), found, {});
    ScanView application = scan_of("debian:12", 3, 500);
    application.scope = catalog::ScanScope::kApplication;
    add_scan(*store, application, stored_finding("CVE-2", catalog::Origin::kApplication), {});
  }
  const auto store = open();
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const auto again, writer.add_scan(first));
    CHECK_FALSE(again);
    ASSAY_ASSIGN(const auto there, writer.find_scan(first.base, first.digest));
    REQUIRE(there);
    CHECK(*there == first);
    ASSAY_ASSIGN(const auto findings, writer.scan_findings(first.key));
    CHECK(findings == std::vector<StoredFinding>{found});
    ASSAY_ASSIGN(const auto scans, writer.scans_of(first.base));
    CHECK(scans.size() == 3);
    return ok();
  });
  const auto newest = store->list_scans({std::nullopt, true});
  REQUIRE(newest);
  REQUIRE(newest->size() == 2);
  CHECK(newest->front().base.text() == "alpine:3");
  CHECK(newest->back() == first);
  const auto of_base = store->list_scans({*catalog::BaseId::parse("debian"), false});
  REQUIRE(of_base);
  REQUIRE(of_base->size() == 3);
  CHECK(of_base->front().scanned_ns == 90);
  const auto latest = store->latest_scans();
  REQUIRE(latest);
  CHECK(latest->at(first.base) ==
        catalog::ScanSummary{"trivy", from_unix_ns(100), first.counts.base});
}

void check_vex(const OpenStore& open) {
  const auto store = open();
  const StoredFinding found = stored_finding("CVE-1", catalog::Origin::kBase);
  const ScanKey scan = add_scan(*store, scan_of("debian:12", 1, 100), found, {});
  catalog::VexStatement statement;
  statement.id = "CVE-1";
  statement.aliases = {"GHSA-1"};
  statement.packages = {"pkg:deb/x/libc6"};
  statement.applicability = catalog::Applicability::kNotAffected;
  statement.status_said = "not_affected: because";
  statement.time = from_unix_ns(42);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ScanView document = scan_of("debian:12", 9, 100);
    document.format = catalog::ScanFormat::kOpenVex;
    ASSAY_ASSIGN(const auto key, writer.add_scan(document));
    REQUIRE(key);
    ASSAY_TRY(writer.add_vex_statements(*key, {statement}));
    ASSAY_ASSIGN(const auto kept, writer.vex_statements(document.base));
    CHECK(kept == std::vector<catalog::VexStatement>{statement});
    ASSAY_ASSIGN(const auto none, writer.vex_statements(*catalog::BaseId::parse("alpine:3")));
    CHECK(none.empty());
    ASSAY_ASSIGN(const auto scans, writer.scans_of(document.base));
    CHECK(scans == std::vector<ScanKey>{scan});
    StoredFinding judged = found;
    judged.applicability = catalog::Applicability::kNotAffected;
    judged.vex_said = statement.status_said;
    ASSAY_TRY(writer.set_applicability(scan, 0, judged));
    ASSAY_ASSIGN(const auto findings, writer.scan_findings(scan));
    CHECK(findings == std::vector<StoredFinding>{judged});
    return ok();
  });
  const auto listed = store->list_scans({});
  REQUIRE(listed);
  CHECK(listed->size() == 1);
}

void check_where(const OpenStore& open) {
  const auto store = open();
  add_runs(*store);
  const StoredFinding found = stored_finding("CVE-1", catalog::Origin::kBase);
  add_scan(*store, scan_of("debian:12", 1, 100), found, {});
  add_scan(*store, scan_of("debian:12", 2, 90, "grype"), found, {});
  add_scan(*store, scan_of("alpine:3", 3, 10), found, {});
  // What an older scan of the same tool found counts no more.
  add_scan(*store, scan_of("alpine:3", 4, 20), stored_finding("CVE-9", catalog::Origin::kBase), {});
  ScanView application = scan_of("debian:12", 5, 500);
  application.scope = catalog::ScanScope::kApplication;
  add_scan(*store, application, stored_finding("CVE-1", catalog::Origin::kApplication), {});
  for (const char* name : {"CVE-1", "cve-1", "GHSA-CVE-1"}) {
    INFO(name);
    const auto where = store->where(name);
    REQUIRE(where);
    REQUIRE(where->findings.size() == 3);
    CHECK(where->findings[0].scan.tool == "trivy");
    CHECK(where->findings[0].found == found);
    CHECK(where->findings[0].running == 1);
    CHECK(where->findings[0].nodes == 1);
    CHECK(where->findings[1].scan.tool == "grype");
    CHECK(where->findings[2].found.origin == catalog::Origin::kApplication);
    CHECK(where->findings[2].running == 1);
    REQUIRE(where->runs.size() == 2);  // one container, for either reason
    CHECK(where->runs.back().origin == catalog::Origin::kApplication);
    CHECK(where->runs.front().base.text() == "debian:12");
    CHECK(where->runs.front().started_ns == 100);
    CHECK_FALSE(where->is_cut);
  }
  const auto nowhere = store->where("CVE-2");
  REQUIRE(nowhere);
  CHECK(nowhere->findings.empty());
}

}  // namespace

void check_scan_contract(const OpenStore& open) {
  SECTION("scans are added once, with counts and findings, and the newest of each base is known") {
    check_scans(open);
  }
  SECTION("statements of VEX documents bear on findings") {
    check_vex(open);
  }
  SECTION("a vulnerability is found by any name, on bases and running containers") {
    check_where(open);
  }
}

}  // namespace assay::collector::tests
