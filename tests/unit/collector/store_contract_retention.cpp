// SPDX-License-Identifier: Apache-2.0
// What every store must do when it removes what is over.
#include <catch2/catch.hpp>

#include "tests/unit/collector/store_contract.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {
namespace {

using catalog::FindingKind;

constexpr int kLimit = 100;

/// A store with runs on stacks of one layer each.
class Aging {
 public:
  explicit Aging(const OpenStore& open) : store_(open()) {}

  Store& store() { return *store_; }

  RunKey start(int n, std::uint8_t layer_fill) {
    RunKey run{};
    const catalog::Stack description = stack(kNode, {layer(layer_fill), layer(99)});
    const StackDigest digest = catalog::digest_of(description);
    const RunStarted started = run_started(n, digest, n);
    write(*store_, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(node_, writer.node_id(kNode));
      ASSAY_ASSIGN(const auto row, writer.find_stack(node_, digest));
      StackId id{};
      if (row) {
        id = row->id;
      } else {
        ASSAY_ASSIGN(id, writer.add_stack(node_, digest));
        ASSAY_TRY(writer.describe_stack(id, node_, description));
      }
      ASSAY_ASSIGN(const auto key, writer.add_run({node_, id, &started, false}));
      run = *key;
      return ok();
    });
    return run;
  }

  void end(int n, std::int64_t ended_ns, bool is_settled = true) {
    write(*store_, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(auto run, writer.find_run(node_, run_id(n)));
      ASSAY_TRY(writer.end_run(*run, 1, false, ended_ns));
      run->is_open = !is_settled;
      return writer.set_run_state(*run);
    });
  }

  void exec(RunKey run, std::int64_t time_ns) {
    Exec seen;
    seen.time_ns = time_ns;
    seen.executable = "/bin/true";
    write(*store_, [&](StoreWriter& writer) { return writer.add_exec(run, seen); });
  }

  void find(const char* id, RunKey run) {
    write(*store_, [&](StoreWriter& writer) {
      return writer.add_finding({id, FindingKind::kTampered, "", "why", "", node_, run, 10, 0, ""});
    });
  }

  void resolve(RunKey run, std::int64_t resolved_ns) {
    write(*store_, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const auto open, writer.open_findings(run));
      return writer.resolve_finding(open.at(0).key, resolved_ns, "over");
    });
  }

  AgedRows remove(Aged kind, std::int64_t before_ns, int limit = kLimit, AgedCursor after = {}) {
    AgedRows rows;
    write(*store_, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(rows, writer.remove_aged(kind, before_ns, after, limit));
      return ok();
    });
    return rows;
  }

  std::size_t runs() {
    RunFilter filter;
    filter.include_ended = true;
    return store_->list_runs(filter, std::nullopt, kLimit)->rows.size();
  }

  bool has_stack(std::uint8_t layer_fill) {
    bool is_there = false;
    write(*store_, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const auto row,
                   writer.find_stack(
                       node_, catalog::digest_of(stack(kNode, {layer(layer_fill), layer(99)}))));
      is_there = row.has_value();
      return ok();
    });
    return is_there;
  }

 private:
  std::unique_ptr<Store> store_;
  NodeId node_{};
};

void check_runs_go_with_their_stacks(const OpenStore& open) {
  Aging here(open);
  const RunKey first = here.start(1, 1);
  here.start(2, 1);
  here.start(3, 3);
  here.exec(first, 50);
  here.end(1, 100);
  here.end(3, 300);
  CHECK(here.remove(Aged::kRuns, 100).removed == 0);  // not before its end
  CHECK(here.remove(Aged::kRuns, 200).removed == 1);
  CHECK(here.runs() == 2);
  CHECK(here.has_stack(1));  // the running one stands on it
  CHECK(here.remove(Aged::kRuns, 1'000'000).removed == 1);
  CHECK(here.runs() == 1);  // what runs stays, however old
  CHECK_FALSE(here.has_stack(3));
  CHECK(here.store().trace(run_id(2), "")->stack.layers.size() == 2);  // and the layer they shared
  here.start(4, 3);  // the same stack again is described anew
  CHECK(here.has_stack(3));
}

void check_what_is_open_stays(const OpenStore& open) {
  Aging here(open);
  const RunKey run = here.start(1, 1);
  here.find("f1", run);
  here.end(1, 100);
  CHECK(here.remove(Aged::kFindings, 1000).removed == 0);
  CHECK(here.remove(Aged::kRuns, 1000).removed == 0);
  here.resolve(run, 200);
  CHECK(here.remove(Aged::kRuns, 1000).removed == 0);  // its finding is kept longer
  CHECK(here.remove(Aged::kFindings, 200).removed == 0);
  CHECK(here.remove(Aged::kFindings, 201).removed == 1);
  CHECK(here.remove(Aged::kRuns, 1000).removed == 1);
  here.start(2, 2);
  here.end(2, 100, false);
  CHECK(here.remove(Aged::kRuns, 1000).removed == 0);  // its findings are not settled yet
}

void check_steps_are_bounded(const OpenStore& open) {
  Aging here(open);
  const RunKey kept = here.start(1, 1);
  here.find("f1", kept);
  for (int n = 1; n <= 5; ++n) {
    if (n > 1) here.start(n, 1);
    here.end(n, 100 + n);
  }
  const AgedRows first = here.remove(Aged::kRuns, 1000, 2);
  CHECK(first.removed == 1);  // of the two, one has a finding
  REQUIRE(first.next);
  const AgedRows second = here.remove(Aged::kRuns, 1000, 2, *first.next);
  CHECK(second.removed == 2);
  REQUIRE(second.next);
  const AgedRows last = here.remove(Aged::kRuns, 1000, 2, *second.next);
  CHECK(last.removed == 1);
  CHECK_FALSE(last.next);
  CHECK(here.runs() == 1);

  for (int i = 0; i < 5; ++i)
    here.exec(kept, 10 * i);
  CHECK(here.remove(Aged::kExecs, 30, 2).removed == 2);
  CHECK(here.store().trace(run_id(1), "")->execs.size() == 3);
  CHECK(here.remove(Aged::kExecs, 30).removed == 1);
  CHECK(here.remove(Aged::kExecs, 30).removed == 0);
  // Those in between that are not old stop nothing.
  for (int i = 0; i < 3; ++i)
    here.exec(kept, 10);
  CHECK(here.remove(Aged::kExecs, 30, 4).removed == 2);
  const auto left = here.remove(Aged::kExecs, 30, 4).removed;
  CHECK(left == 1);

  // A run with more execs than a step may remove goes over several.
  here.resolve(kept, 1);
  CHECK(here.remove(Aged::kFindings, 1000).removed == 1);
  CHECK(here.remove(Aged::kRuns, 1000, 2).removed == 0);
  CHECK(here.remove(Aged::kRuns, 1000, 2).removed == 1);
  CHECK(here.runs() == 0);
}

void check_audit(const OpenStore& open) {
  Aging here(open);
  write(here.store(), [&](StoreWriter& writer) -> Result<void> {
    for (std::int64_t time : {10, 20, 30})
      ASSAY_TRY(writer.audit({time, "user:x", "catalog.submit", "", "done", ""}));
    return ok();
  });
  CHECK(here.remove(Aged::kAudit, 30).removed == 2);
  CHECK(here.store().audit_log(10)->size() == 1);
}

void check_scans(const OpenStore& open) {
  Aging here(open);
  const auto scan = [](std::uint8_t fill, std::int64_t scanned_ns, const char* tool,
                       catalog::ScanFormat format = catalog::ScanFormat::kTrivy) {
    ScanView one;
    one.base = *catalog::BaseId::parse("debian:12");
    one.digest.bytes.fill(fill);
    one.format = format;
    one.tool = tool;
    one.scanned_ns = scanned_ns;
    one.imported_ns = scanned_ns;
    return one;
  };
  write(here.store(), [&](StoreWriter& writer) -> Result<void> {
    for (const ScanView& one : {scan(1, 10, "trivy"), scan(2, 20, "trivy"), scan(3, 5, "grype"),
                                scan(4, 1, "vex", catalog::ScanFormat::kOpenVex)}) {
      ASSAY_ASSIGN(const auto key, writer.add_scan(one));
      StoredFinding found;
      found.finding.id = "CVE-2026-" + std::to_string(one.scanned_ns);
      if (one.format != catalog::ScanFormat::kOpenVex)
        ASSAY_TRY(writer.add_scan_findings(*key, {found}));
    }
    return ok();
  });
  CHECK(here.remove(Aged::kScans, 1000).removed == 1);
  const auto left = here.store().list_scans({});
  REQUIRE(left->size() == 2);  // the newest of each tool
  CHECK(left->at(0).tool == "grype");
  CHECK(left->at(1).scanned_ns == 20);
}

}  // namespace

void check_retention_contract(const OpenStore& open) {
  SECTION("runs go with their stacks") {
    check_runs_go_with_their_stacks(open);
  }
  SECTION("what is open stays") {
    check_what_is_open_stays(open);
  }
  SECTION("steps are bounded") {
    check_steps_are_bounded(open);
  }
  SECTION("audit entries go") {
    check_audit(open);
  }
  SECTION("scans that were replaced go") {
    check_scans(open);
  }
}

}  // namespace assay::collector::tests
