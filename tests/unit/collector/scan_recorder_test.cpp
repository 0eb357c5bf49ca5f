// SPDX-License-Identifier: Apache-2.0
// Reports attached to bases on a real store: idempotent, split, and judged by VEX before and after.
#include "collector/core/scan_recorder.h"

#include "collector/store/sqlite/sqlite_store.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {
namespace {

using catalog::Applicability;
using catalog::Origin;
using catalog::Severity;

const catalog::BaseId kBase = *catalog::BaseId::parse("debian:12");

class Fixture {
 public:
  Fixture() : store_(std::move(*SqliteStore::open({folder_.path() + "/store.db"}))) {}

  std::vector<ScanOutcome> record(const ScanImport& scan) {
    std::vector<ScanOutcome> outcomes;
    const auto done = store_->write([&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(outcomes, record_scan(writer, scan));
      return ok();
    });
    INFO((done ? "" : done.error().message));
    REQUIRE(done);
    return outcomes;
  }
  Store& store() { return *store_; }

 private:
  TempDir folder_;
  std::unique_ptr<SqliteStore> store_;
};

catalog::ScanFinding finding(const std::string& id, Severity severity) {
  catalog::ScanFinding made;
  made.id = id;
  made.severity = severity;
  made.package = "libc6";
  made.installed = "2.36";
  return made;
}

/// Of debian:12 itself: two that count, one that the report leaves out.
ScanImport scan(std::uint8_t fill, std::int64_t scanned_ns = 100) {
  catalog::ScanReport report;
  report.format = catalog::ScanFormat::kTrivy;
  report.tool = "trivy";
  report.findings = {finding("CVE-1", Severity::kHigh), finding("CVE-2", Severity::kLow),
                     finding("CVE-3", Severity::kLow)};
  report.findings.back().applicability = Applicability::kSuppressed;
  ScanImport made;
  made.report = std::make_shared<const catalog::ScanReport>(std::move(report));
  made.digest.bytes.fill(fill);
  made.scanned_ns = scanned_ns;
  made.aims = {{kBase, catalog::ScanScope::kBase, "image-id", std::vector<Origin>(3), {}}};
  return made;
}

ScanImport vex(std::uint8_t fill, Applicability what, int day) {
  catalog::ScanReport report;
  report.format = catalog::ScanFormat::kOpenVex;
  catalog::VexStatement statement;
  statement.id = "CVE-1";
  statement.applicability = what;
  statement.status_said = "said";
  statement.time = WallTime(std::chrono::days(day));
  ScanImport made;
  made.report = std::make_shared<const catalog::ScanReport>(std::move(report));
  made.digest.bytes.fill(fill);
  made.aims = {{kBase, catalog::ScanScope::kBase, "name", {}, {statement}}};
  return made;
}

catalog::SeverityCounts latest(Fixture& here) {
  const auto all = here.store().latest_scans();
  REQUIRE(all);
  return all->at(kBase).counts;
}

}  // namespace

TEST_CASE("a report is attached once, however often it is imported", "[collector][scan][unit]") {
  Fixture here;
  const auto first = here.record(scan(1));
  REQUIRE(first.size() == 1);
  CHECK(first.front().is_new);
  CHECK(first.front().scan.counts.base == catalog::SeverityCounts{0, 1, 0, 1, 0});
  CHECK(first.front().scan.counts.excluded == 1);
  const auto again = here.record(scan(1, 999));
  CHECK_FALSE(again.front().is_new);
  CHECK(again.front().scan.scanned_ns == 100);
  CHECK(again.front().scan.counts == first.front().scan.counts);
  CHECK(here.store().list_scans({})->size() == 1);
}

TEST_CASE("a dry run tells what would be and leaves nothing", "[collector][scan][unit]") {
  Fixture here;
  ScanImport dry = scan(1);
  dry.is_dry_run = true;
  const auto told = here.record(dry);
  CHECK(told.front().is_new);
  CHECK(told.front().scan.counts.base.total() == 2);
  CHECK(here.store().list_scans({})->empty());
  CHECK(here.store().audit_log(10)->empty());
  here.record(scan(1));
  CHECK_FALSE(here.record(dry).front().is_new);
}

TEST_CASE("a VEX document bears on scans before and after it", "[collector][scan][unit]") {
  Fixture here;
  here.record(scan(1));
  const auto document = here.record(vex(2, Applicability::kNotAffected, 10));
  CHECK(document.front().changed_scans == 1);
  CHECK(latest(here) == catalog::SeverityCounts{0, 1, 0, 0, 0});
  const auto later = here.record(scan(3, 200));
  CHECK(later.front().scan.counts.base == catalog::SeverityCounts{0, 1, 0, 0, 0});
  CHECK(later.front().scan.counts.excluded == 2);
  // An older document changes nothing, a newer one takes it back.
  CHECK(here.record(vex(4, Applicability::kAffected, 5)).front().changed_scans == 0);
  CHECK(here.record(vex(5, Applicability::kAffected, 11)).front().changed_scans == 2);
  CHECK(latest(here) == catalog::SeverityCounts{0, 1, 0, 1, 0});
}

TEST_CASE("what is said of a base says nothing of an application on it",
          "[collector][scan][unit]") {
  Fixture here;
  here.record(vex(2, Applicability::kNotAffected, 10));
  ScanImport application = scan(1);
  application.aims.front().scope = catalog::ScanScope::kApplication;
  application.aims.front().origins = {Origin::kApplication, Origin::kBase, Origin::kUnknown};
  const auto outcome = here.record(application);
  const ScanCounts& counts = outcome.front().scan.counts;
  CHECK(counts.application == 1);
  CHECK(counts.base == catalog::SeverityCounts{0, 1, 0, 0, 0});
  CHECK(counts.unattributed == 0);  // the report leaves it out
  CHECK(here.store().latest_scans()->empty());
}

}  // namespace assay::collector::tests
