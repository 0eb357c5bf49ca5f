// SPDX-License-Identifier: Apache-2.0
// Flattened bases: what the collector asks for, and what it makes of the answer.
#include "collector/core/policy_trial.h"
#include "common/base/sha256.h"
#include "common/catalog/file_set.h"
#include "tests/unit/collector/commit_bench.h"

using namespace assay;
using namespace assay::collector;
using namespace assay::collector::tests;
using catalog::BaseStatus;
using catalog::FileSet;
using catalog::FindingKind;
using catalog::VerdictStatus;

namespace {

FileSet files(std::uint64_t from, std::uint64_t to) {
  std::vector<catalog::FileSetEntry> entries;
  for (; from < to; ++from)
    entries.push_back({from, from});
  return FileSet(std::move(entries));
}

const FileSet kDebianFiles = files(0, 100);
const FileSet kRevokedFiles = files(1000, 1100);

catalog::Base with_files(catalog::Base one, const FileSet& set) {
  one.stacks.front().file_set = {set.digest(), set.size()};
  return one;
}

// debian:12 of layer 1, and old:1 of layer 2.
std::shared_ptr<const catalog::Catalog> bases(std::uint64_t sequence, BaseStatus old) {
  return make_catalog(sequence,
                      {with_files(base("debian:12", BaseStatus::kApproved, {1}), kDebianFiles),
                       with_files(base("old:1", old, {2}), kRevokedFiles)});
}

// With the file sets of both bases in the store.
struct Flat : Bench {
  explicit Flat(BaseStatus old = BaseStatus::kApproved) : Bench(make_catalog(0, {})) {
    const CatalogEntry entry{
        1, "statement", "head", "user:test", 1, {kDebianFiles.encode(), kRevokedFiles.encode()}};
    REQUIRE(loop->change_catalog(entry, bases(1, old)));
  }

  BatchOutcome start(int n, const catalog::Stack& on) {
    const auto outcome = record(
        {{event(run_started(n, catalog::digest_of(on), to_unix_ns(clock.wall_now())))}, {on}});
    REQUIRE(outcome);
    return *outcome;
  }
  BatchOutcome answer(FileSetAnswer one) {
    Batch batch;
    batch.file_sets.push_back(std::move(one));
    const auto outcome = record(std::move(batch));
    REQUIRE(outcome);
    return *outcome;
  }
  TraceView trace(int n) { return *store->trace(run_id(n), ""); }
};

const catalog::Stack kFlat = stack(kNode, {layer(9)});
const StackDigest kFlatDigest = catalog::digest_of(kFlat);
const std::vector<FindingKind> kUnknownOnly{FindingKind::kUnknownBase};

}  // namespace

TEST_CASE("the files of a stack that matches nothing are asked for until they come",
          "[collector][unit]") {
  Flat here;
  const std::vector<FileSetWish> wish{{kFlatDigest, 0}};
  CHECK(here.start(1, kFlat).file_sets == wish);
  CHECK(here.trace(1).containment->is_awaited);
  CHECK(here.connect({kEpoch, "boot", "1", "6", 0, "", 0, ""}).file_sets == wish);
  CHECK(here.answer({kFlatDigest, 0, kDebianFiles.encode(), ""}).file_sets.empty());
  const TraceView trace = here.trace(1);
  CHECK(trace.run.verdict.status == VerdictStatus::kUnknown);
  CHECK(trace.run.verdict.rung == catalog::Rung::kContained);
  CHECK(trace.run.verdict.base_name() == "debian:12");
  REQUIRE(trace.containment->found.contained.size() == 1);
  CHECK(trace.containment->found.contained[0].present == 100);
  CHECK(here.open_kinds() == kUnknownOnly);
  CHECK(here.start(2, kFlat).file_sets.empty());  // once
}

TEST_CASE("what layers prove, or cannot tell yet, needs no files", "[collector][unit]") {
  Flat here;
  CHECK(here.start(1, stack(kNode, {layer(1)})).file_sets.empty());
  CHECK(here.start(2, stack(kNode, {layer(8, false)})).file_sets.empty());
  CHECK_FALSE(here.trace(1).containment);
}

TEST_CASE("a revocation reaches flattened runs, without asking again", "[collector][unit]") {
  Flat here;
  here.start(1, kFlat);
  here.answer({kFlatDigest, 0, FileSet::over(kRevokedFiles, files(5000, 6000)).encode(), ""});
  CHECK(here.open_kinds() == kUnknownOnly);
  CHECK(here.store->impact("old:1")->running == 1);
  here.change_catalog(bases(2, BaseStatus::kRevoked));
  CHECK(here.open_kinds() == std::vector{FindingKind::kRevokedBase});
  CHECK(here.trace(1).run.verdict.status == VerdictStatus::kRevoked);
  here.end_run(1);
  CHECK(here.open_kinds().empty());
}

TEST_CASE("a base approved later is found in the files that came before", "[collector][unit]") {
  Flat here;
  const FileSet late = files(7000, 7100);
  here.start(1, kFlat);
  here.answer({kFlatDigest, 0, late.encode(), ""});
  CHECK(here.trace(1).run.verdict.base_name().empty());
  const auto next =
      make_catalog(2, {with_files(base("debian:12", BaseStatus::kApproved, {1}), kDebianFiles),
                       with_files(base("late:1", BaseStatus::kRevoked, {3}), late)});
  const CatalogEntry entry{2, "statement", "head", "user:test", 1, {late.encode()}};
  REQUIRE(here.loop->change_catalog(entry, next));
  REQUIRE(here.loop->drain(std::chrono::seconds(30)));
  CHECK(here.trace(1).run.verdict.status == VerdictStatus::kRevoked);
  CHECK(here.open_kinds() == std::vector{FindingKind::kRevokedBase});
}

TEST_CASE("a revoked base copied over an approved one is found", "[collector][unit]") {
  Flat here(BaseStatus::kRevoked);
  const catalog::Stack copied = stack(kNode, {layer(1), layer(9)});
  const StackDigest digest = catalog::digest_of(copied);
  CHECK(here.start(1, copied).file_sets == std::vector<FileSetWish>{{digest, 1}});
  CHECK(here.trace(1).run.verdict.status == VerdictStatus::kApproved);
  here.answer({digest, 1, kRevokedFiles.encode(), ""});
  const TraceView trace = here.trace(1);
  CHECK(trace.run.verdict.status == VerdictStatus::kRevoked);
  CHECK(trace.run.verdict.base_name() == "debian:12");
  CHECK(here.open_kinds() == std::vector{FindingKind::kRevokedBase});
}

TEST_CASE("a file set that could not be made is said, and wanted again with the next run",
          "[collector][unit]") {
  Flat here;
  here.start(1, kFlat);
  CHECK(here.answer({kFlatDigest, 0, "", "the layer was gone"}).file_sets.empty());
  const TraceView trace = here.trace(1);
  CHECK(trace.containment->gap == "the layer was gone");
  CHECK(trace.run.verdict.reason.ends_with("its files could not be looked at: the layer was gone"));
  CHECK(here.start(2, kFlat).file_sets == std::vector<FileSetWish>{{kFlatDigest, 0}});
  here.answer({kFlatDigest, 0, kDebianFiles.encode(), ""});
  CHECK(here.trace(1).run.verdict.base_name() == "debian:12");
}

TEST_CASE("other thresholds are tried on the files that are here", "[collector][unit]") {
  Flat here(BaseStatus::kRevoked);
  const catalog::Stack whole = stack(kNode, {layer(10)});
  const StackDigest whole_digest = catalog::digest_of(whole);
  here.start(1, kFlat);
  here.answer({kFlatDigest, 0, FileSet::over(files(1000, 1040), files(5000, 6000)).encode(), ""});
  here.start(2, whole);
  here.answer({whole_digest, 0, kRevokedFiles.encode(), ""});
  here.start(3, stack(kNode, {layer(11)}));  // its files have not come yet
  CHECK(here.trace(1).run.verdict.status == VerdictStatus::kUnknown);
  CHECK(here.trace(2).run.verdict.status == VerdictStatus::kRevoked);
  const auto now = bases(1, BaseStatus::kRevoked);
  catalog::Policy generous;
  generous.contained_share_percent = generous.contained_own_percent = 30;
  const auto more = try_policy(*here.store, *now, generous, here.clock.wall_now());
  REQUIRE(more);
  CHECK(more->running == 3);
  CHECK(more->changed == 1);
  REQUIRE(more->groups.size() == 1);
  CHECK(more->groups[0].before == VerdictStatus::kUnknown);
  CHECK(more->groups[0].after == VerdictStatus::kRevoked);
  CHECK(more->groups[0].base == "old:1");
  CHECK(more->not_searched == 1);
  catalog::Policy strict;
  strict.contained_min_files = 1000;
  const auto less = try_policy(*here.store, *now, strict, here.clock.wall_now());
  REQUIRE(less);
  REQUIRE(less->groups.size() == 1);
  CHECK(less->groups[0].before == VerdictStatus::kRevoked);
  CHECK(less->groups[0].after == VerdictStatus::kUnknown);
  REQUIRE(less->findings.size() == 2);
  CHECK(less->findings[0].kind == FindingKind::kUnknownBase);
  CHECK(less->findings[0].opened == 1);
  CHECK(less->findings[1].kind == FindingKind::kRevokedBase);
  CHECK(less->findings[1].resolved == 1);
  catalog::Policy same;
  same.pending_deadline = std::chrono::minutes(1);
  CHECK(try_policy(*here.store, *now, same, here.clock.wall_now())->not_searched == 0);
  CHECK(here.trace(1).run.verdict.status == VerdictStatus::kUnknown);  // nothing was changed
}

TEST_CASE("what nobody asked for changes nothing", "[collector][unit]") {
  Flat here;
  const catalog::Stack good = stack(kNode, {layer(1)});
  here.start(1, good);
  here.answer({catalog::digest_of(good), 0, kRevokedFiles.encode(), ""});
  CHECK_FALSE(here.trace(1).containment);
  here.answer({digest_with<StackDigest>(5), 0, kRevokedFiles.encode(), ""});  // no such stack
  const catalog::Stack above = stack(kNode, {layer(9), layer(10)});
  here.start(2, above);
  here.answer({catalog::digest_of(above), 1, kRevokedFiles.encode(), ""});  // the bottom is missing
  CHECK(here.trace(2).containment->is_awaited);
}

TEST_CASE("a claim that comes late costs no second reading of the files", "[collector][unit]") {
  Flat here;
  here.start(1, kFlat);
  here.answer({kFlatDigest, 0, kRevokedFiles.encode(), ""});
  catalog::Stack claimed = kFlat;
  claimed.layers[0].evidence.claimed = digest_with<DiffId>(3);
  const auto advance = [&](const catalog::Stack& from, const catalog::Stack& to) {
    const StackAdvanced event{catalog::digest_of(from), catalog::digest_of(to)};
    const auto outcome = here.record({{here.event(event)}, {to}});
    REQUIRE(outcome);
    return outcome->file_sets.size();
  };
  CHECK(advance(kFlat, claimed) == 0);
  CHECK(here.trace(1).run.verdict.base_name() == "old:1");
  catalog::Stack other = claimed;
  other.layers[0].evidence.content = digest_with<ContentDigest>(77);
  CHECK(advance(claimed, other) == 1);  // other bytes
  CHECK(here.trace(1).run.verdict.base_name().empty());
}

TEST_CASE("file sets and what was found in them survive a restart", "[collector][unit]") {
  Flat here;
  here.start(1, kFlat);
  here.answer({kFlatDigest, 0, kRevokedFiles.encode(), ""});
  here.Bench::start(bases(2, BaseStatus::kRevoked));
  here.change_catalog(bases(3, BaseStatus::kRevoked));
  CHECK(here.open_kinds() == std::vector{FindingKind::kRevokedBase});
}
