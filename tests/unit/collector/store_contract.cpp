// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/collector/store_contract.h"

#include "common/base/sha256.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {
namespace {

using catalog::FindingKind;

const Epoch kEpoch(16, 'e');

struct Written {
  NodeId node{};
  StackId stack{};
  RunKey run{};
};

/// Run `n` on a described stack that is judged approved by debian:12.
Written add_run(Store& store, int n, std::int64_t started_ns, std::uint8_t layer_fill = 1) {
  Written written;
  const catalog::Stack description = stack(kNode, {layer(layer_fill)});
  const StackDigest digest = catalog::digest_of(description);
  const RunStarted start = run_started(n, digest, started_ns);
  write(store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(written.node, writer.node_id(kNode));
    ASSAY_ASSIGN(const auto row, writer.find_stack(written.node, digest));
    if (row) {
      written.stack = row->id;
    } else {
      ASSAY_ASSIGN(written.stack, writer.add_stack(written.node, digest));
      ASSAY_TRY(writer.describe_stack(written.stack, written.node, description));
      catalog::Verdict verdict;
      verdict.status = catalog::VerdictStatus::kApproved;
      verdict.rung = catalog::Rung::kContent;
      verdict.matches = {{*catalog::BaseId::parse("debian:12"), catalog::VerdictStatus::kApproved,
                          catalog::Rung::kContent, 1},
                         {*catalog::BaseId::parse("old:1"), catalog::VerdictStatus::kRevoked,
                          catalog::Rung::kShape, 1, 2}};
      verdict.reason = "because";
      verdict.contradictions = {"one"};
      verdict.catalog_sequence = 3;
      ASSAY_TRY(writer.set_verdict({written.stack, true, 0, {}}, verdict, 1));
    }
    ASSAY_ASSIGN(const auto key, writer.add_run({written.node, written.stack, &start, false}));
    if (!key) return Error{ErrorCode::kAlreadyExists, "the run is there already"};
    written.run = *key;
    return ok();
  });
  return written;
}

void check_epochs(const OpenStore& open) {
  const Epoch later(16, 'f');
  {
    const auto store = open();
    write(*store, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const NodeId node, writer.node_id(kNode));
      ASSAY_ASSIGN(const auto before, writer.find_epoch(node, kEpoch));
      CHECK_FALSE(before);
      ASSAY_ASSIGN(const auto none, writer.newest_other_epoch(node, kEpoch));
      CHECK_FALSE(none);
      ASSAY_TRY(writer.save_epoch(node, kEpoch, {5, 50}));
      ASSAY_TRY(writer.save_epoch(node, later, {1, 10}));
      return writer.save_epoch(node, kEpoch, {9, 90});
    });
  }
  const auto store = open();
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const NodeId node, writer.node_id(kNode));
    ASSAY_ASSIGN(const auto after, writer.find_epoch(node, kEpoch));
    REQUIRE(after);
    CHECK(after->acknowledged == 9);
    CHECK(after->last_event_ns == 90);
    ASSAY_ASSIGN(const auto newest, writer.newest_other_epoch(node, kEpoch));
    CHECK(newest->last_event_ns == 10);
    ASSAY_ASSIGN(const auto older, writer.newest_other_epoch(node, later));
    CHECK(older->last_event_ns == 90);
    // The same name in another cluster is another node.
    ASSAY_ASSIGN(const NodeId other, writer.node_id({"elsewhere", kNode.node}));
    ASSAY_ASSIGN(const auto foreign, writer.find_epoch(other, kEpoch));
    CHECK_FALSE(foreign);
    for (int i = 0; i < kMaxEpochs; ++i)
      ASSAY_TRY(writer.save_epoch(node, Epoch(16, static_cast<char>(i)), {1, i}));
    ASSAY_ASSIGN(const auto forgotten, writer.find_epoch(node, kEpoch));
    CHECK_FALSE(forgotten);
    return ok();
  });
}

void check_states(const OpenStore& open) {
  NodeState state;
  state.boot_id = "boot-1";
  state.request = 3;
  state.is_wanted = state.is_ending = true;
  state.wanted_because = "why";
  state.state = 7;
  state.state_ns = 70;
  state.told = 2;
  state.added = 1;
  state.finding_id = "f";
  state.gap = "gap";
  state.gap_from_ns = 60;
  state.missing = 4;
  {
    const auto store = open();
    const Written told = add_run(*store, 1, 100);
    add_run(*store, 2, 200);
    const Written ended = add_run(*store, 3, 300);
    write(*store, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const NodeState none, writer.node_state(told.node));
      CHECK(none == NodeState{});
      ASSAY_TRY(writer.save_node_state(told.node, state));
      ASSAY_TRY(writer.set_told_in(told.run, 7));
      ASSAY_ASSIGN(const auto run, writer.find_run(told.node, run_id(3)));
      return writer.end_run(*run, 400, true, 400);
    });
    CHECK(store->impact("debian:12")->running == 2);
    write(*store, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const auto untold, writer.untold_runs(told.node, 7, 10));
      REQUIRE(untold.size() == 1);
      CHECK(untold[0].run_id == run_id(2));
      ASSAY_ASSIGN(const auto run, writer.find_run(ended.node, run_id(3)));
      return writer.reopen_run(*run);
    });
    CHECK(store->impact("debian:12")->running == 3);
    CHECK(store->trace(run_id(3), "")->run.ended_ns == 0);
  }
  const auto store = open();
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const NodeId node, writer.node_id(kNode));
    ASSAY_ASSIGN(NodeState kept, writer.node_state(node));
    CHECK(kept == state);
    ASSAY_ASSIGN(const auto ending, writer.ending_nodes(10));
    CHECK(ending == std::vector{node});
    ASSAY_ASSIGN(const auto limited, writer.untold_runs(node, 8, 2));
    CHECK(limited.size() == 2);
    kept.is_ending = false;
    ASSAY_TRY(writer.save_node_state(node, kept));
    ASSAY_ASSIGN(const auto none, writer.ending_nodes(10));
    CHECK(none.empty());
    return ok();
  });
  CHECK(store->load_nodes()->front().is_state_wanted);
}

/// Two nodes of one name in two clusters, each with a run of the same id and the same name.
void check_clusters(const OpenStore& open) {
  const auto store = open();
  const NodeKey other{"elsewhere", kNode.node};
  add_run(*store, 1, 100);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const NodeId node, writer.node_id(other));
    const catalog::Stack on = stack(other, {layer(5)});
    const StackDigest digest = catalog::digest_of(on);
    ASSAY_ASSIGN(const StackId id, writer.add_stack(node, digest));
    ASSAY_TRY(writer.describe_stack(id, node, on));
    const RunStarted start = run_started(1, digest, 50);
    ASSAY_ASSIGN(const auto key, writer.add_run({node, id, &start, false}));
    REQUIRE(key);
    return writer.add_finding(
        {"g", FindingKind::kEvidenceGap, "s", "r", "", node, std::nullopt, 5, 0, ""});
  });
  const auto runs_of = [&](const std::string& node) {
    RunFilter filter;
    filter.node = node;
    return store->list_runs(filter, std::nullopt, 10)->rows;
  };
  CHECK(runs_of(kNode.node).size() == 2);
  REQUIRE(runs_of(other.text()).size() == 1);
  CHECK(runs_of(other.text())[0].node == other);
  REQUIRE(runs_of(kNode.text()).size() == 1);
  CHECK(runs_of(kNode.text())[0].node == kNode);
  CHECK(runs_of("nowhere/" + kNode.node).empty());
  FindingFilter findings;
  findings.node = other.text();
  CHECK(store->list_findings(findings, std::nullopt, 10)->rows.size() == 1);
  findings.node = kNode.text();
  CHECK(store->list_findings(findings, std::nullopt, 10)->rows.empty());
  CHECK(store->trace(run_id(1), "")->run.node == kNode);  // the newer one
  CHECK(store->trace("web-1", other.text())->run.node == other);
  CHECK(store->trace(run_id(1), other.text())->stack.layers.size() == 1);
  CHECK(store->trace(run_id(1), "nowhere/x").error().code == ErrorCode::kNotFound);
}

void check_undo(const OpenStore& open) {
  const auto store = open();
  const auto failed = store->write([](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(writer.node_id(kNode));
    return Error{ErrorCode::kInternal, "on purpose"};
  });
  CHECK_FALSE(failed);
  write(*store, [](StoreWriter& writer) -> Result<void> {
    const auto attempt = writer.attempt([&]() -> Result<void> {
      ASSAY_TRY(writer.audit({1, "a", "b", "c", "done", ""}));
      ASSAY_TRY(writer.node_id({"test", "undone"}));
      return Error{ErrorCode::kInvalidArgument, "on purpose"};
    });
    CHECK_FALSE(attempt);
    return writer.audit({2, "user:x", "catalog.submit", "sequence 1", "refused", "why"});
  });
  CHECK(store->load_nodes()->empty());
  const auto log = store->audit_log(10);
  REQUIRE(log);
  REQUIRE(log->size() == 1);
  CHECK(log->front().actor == "user:x");
  CHECK(log->front().outcome == "refused");
}

void check_stacks(const OpenStore& open) {
  const auto store = open();
  catalog::Stack description = stack(kNode, {layer(1), layer(2, false), layer(3)});
  description.layers[2].is_injected = true;
  description.layers[1].evidence.gap = "redirects";
  description.layers[1].evidence.tampered = "/bin/ls (mode)";
  description.layers[1].evidence.is_capped_at_shape = true;
  description.layers[0].evidence.claimed = digest_with<DiffId>(9);
  description.layers[0].evidence.claimed_chain = digest_with<ChainId>(8);
  description.layers[0].evidence.is_claim_for_display = true;
  description.about.distribution = {"debian", "12", "Debian \"12\"", ""};
  description.about.databases = {{"dpkg", "status", "var/lib/dpkg/status", 88, "", {}},
                                 {"rpm", "bdb", "var/lib/rpm/Packages", 0, "not read", {}}};
  const StackDigest digest = catalog::digest_of(description);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const NodeId node, writer.node_id(kNode));
    ASSAY_ASSIGN(const StackId id, writer.add_stack(node, digest));
    ASSAY_ASSIGN(const auto unknown, writer.undescribed_stacks(node, 10));
    CHECK(unknown == std::vector<StackDigest>{digest});
    ASSAY_ASSIGN(const auto nothing, writer.stacks_to_judge(2, 10));
    CHECK(nothing.empty());
    ASSAY_TRY(writer.describe_stack(id, node, description));
    ASSAY_ASSIGN(const auto owed, writer.undescribed_stacks(node, 10));
    CHECK(owed.empty());
    ASSAY_ASSIGN(const catalog::Stack back, writer.load_stack(id));
    CHECK(catalog::digest_of(back) == digest);
    for (std::size_t i = 0; i < 3; ++i)
      CHECK(back.layers[i].evidence == description.layers[i].evidence);
    CHECK(back.layers[1].name == "/layers/2");
    CHECK(back.layers[2].is_injected);
    CHECK(back.about == description.about);
    ASSAY_ASSIGN(const auto first, writer.stacks_to_judge(2, 10));
    CHECK(first.size() == 1);
    ASSAY_TRY(writer.confirm_verdict(id, 4, 2));
    ASSAY_ASSIGN(const auto none, writer.stacks_to_judge(2, 10));
    CHECK(none.empty());
    ASSAY_ASSIGN(const auto other, writer.node_id({"test", "node-2"}));
    ASSAY_ASSIGN(const auto not_theirs, writer.find_stack(other, digest));
    CHECK_FALSE(not_theirs);
    return ok();
  });
}

catalog::BaseMatch match_of(const char* base, catalog::VerdictStatus status) {
  return {*catalog::BaseId::parse(base), status, catalog::Rung::kContent, 1};
}

void check_verdicts(const OpenStore& open) {
  using enum catalog::VerdictStatus;
  const auto store = open();
  const Written written = add_run(*store, 1, 100);
  std::uint64_t round = 1;
  // One that changes, one that goes, some that come, none.
  for (const std::vector<catalog::BaseMatch>& matches :
       {std::vector{match_of("debian:12", kRevoked), match_of("old:1", kRevoked)},
        std::vector{match_of("other:1", kApproved)},
        std::vector{match_of("other:1", kApproved), match_of("debian:12", kExpired),
                    match_of("third:1", kApproved)},
        std::vector<catalog::BaseMatch>()}) {
    write(*store, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const StackRow before, writer.stack_row(written.stack));
      CHECK(before.evidence == catalog::evidence_digest_of(stack(kNode, {layer(1)})));
      catalog::Verdict verdict;
      verdict.matches = matches;
      ASSAY_TRY(writer.set_verdict(before, verdict, ++round));
      ASSAY_ASSIGN(const StackRow after, writer.stack_row(written.stack));
      CHECK(after.verdict == verdict);
      CHECK(after.judged_round == round);
      return ok();
    });
    for (const char* base : {"debian:12", "old:1", "other:1", "third:1"}) {
      const bool is_matched = std::ranges::any_of(
          matches, [&](const catalog::BaseMatch& match) { return match.base.text() == base; });
      CHECK(store->impact(base)->running == (is_matched ? 1 : 0));
    }
  }
}

void check_runs(const OpenStore& open) {
  const auto store = open();
  const Written written = add_run(*store, 1, 100);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    const RunStarted again = run_started(1, std::nullopt, 100);
    ASSAY_ASSIGN(const auto key, writer.add_run({written.node, written.stack, &again, false}));
    CHECK_FALSE(key);
    ASSAY_ASSIGN(const auto run, writer.find_run(written.node, run_id(1)));
    REQUIRE(run);
    CHECK(run->is_open);
    ASSAY_TRY(writer.add_exec(
        written.run,
        {150, {7, 1, "ls"}, {1234, 1, "sh"}, 0, "/bin/ls", {"ls", "\"quoted\""}, true, true}));
    OpenRun state = *run;
    state.overdue_at_ns = 500;
    ASSAY_TRY(writer.set_run_state(state));
    ASSAY_ASSIGN(const auto next, writer.next_overdue_ns());
    CHECK(next == 500);
    ASSAY_ASSIGN(const auto early, writer.overdue_runs(499, 10));
    CHECK(early.empty());
    ASSAY_ASSIGN(const auto due, writer.overdue_runs(500, 10));
    CHECK(due.size() == 1);
    ASSAY_TRY(writer.end_run(*run, 200, true, 200));
    ASSAY_ASSIGN(const auto ended, writer.find_run(written.node, run_id(1)));
    CHECK(ended->ended_ns == 200);
    return ok();
  });
  const auto trace = store->trace(run_id(1), "");
  REQUIRE(trace);
  CHECK(trace->run.ended_ns == 200);
  CHECK(trace->run.names.labels.at("app") == "web");
  CHECK(trace->run.verdict.base_name() == "debian:12");
  REQUIRE(trace->run.verdict.matches.size() == 2);
  CHECK(trace->run.verdict.matches[1].first_layer == 2);
  CHECK(trace->run.verdict.contradictions == std::vector<std::string>{"one"});
  CHECK(trace->origin.ancestors.front().name == "systemd");
  CHECK(trace->origin.arguments == std::vector<std::string>{"sh", "-c", "true"});
  CHECK(trace->stack.layers.size() == 1);
  REQUIRE(trace->execs.size() == 1);
  CHECK(trace->execs.front().arguments.back() == "\"quoted\"");
  CHECK(store->trace("web-1", "")->run.run_id == run_id(1));
  CHECK(store->trace("c0ffee000000", "")->run.run_id == run_id(1));
  CHECK(store->trace("nobody", "").error().code == ErrorCode::kNotFound);
}

/// Image name, runtime's id, config, manifest and repository digest stay apart.
void check_names(const OpenStore& open) {
  const auto store = open();
  const Written written = add_run(*store, 1, 100);
  const ContainerNames before = run_started(1, std::nullopt, 100).names;
  CHECK(store->trace(run_id(1), "")->run.names == before);
  ContainerNames named = before;
  named.manifest_digest = digest_with<ManifestDigest>(0xe0);
  named.repo_digest.reset();
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(writer.name_run(written.run, named));
    ASSAY_TRY(writer.set_claim_conflicts(written.run, {"one: two", "\"three\": four"}));
    NewFinding finding;
    finding.finding_id = "f1";
    finding.kind = catalog::FindingKind::kMismatch;
    finding.node = written.node;
    finding.run = written.run;
    finding.opened_ns = 100;
    ASSAY_TRY(writer.add_finding(finding));
    ASSAY_ASSIGN(const auto run, writer.find_run(written.node, run_id(1)));
    CHECK(run->claim_conflicts == std::vector<std::string>{"one: two", "\"three\": four"});
    return ok();
  });
  CHECK(store->trace(run_id(1), "")->run.names == named);
  CHECK(store->list_runs({}, std::nullopt, 1)->rows.at(0).names == named);
  named.labels.clear();  // not part of a finding
  CHECK(store->list_findings({}, std::nullopt, 1)->rows.at(0).names == named);
}

void check_lists(const OpenStore& open) {
  const auto store = open();
  for (int n = 1; n <= 5; ++n)
    add_run(*store, n, n <= 3 ? 100 : 200);
  std::vector<RunId> seen;
  std::optional<Cursor> after;
  int pages = 0;
  do {
    const auto page = store->list_runs({}, after, 2);
    REQUIRE(page);
    for (const auto& run : page->rows)
      seen.push_back(run.run_id);
    after = page->next;
    ++pages;
  } while (after);
  CHECK(pages == 3);
  CHECK(seen == std::vector<RunId>{run_id(5), run_id(4), run_id(3), run_id(2), run_id(1)});

  const auto matching = [&](const RunFilter& filter) {
    return store->list_runs(filter, std::nullopt, 100)->rows.size();
  };
  RunFilter filter;
  filter.base = "debian";
  CHECK(matching(filter) == 5);
  filter.base = "debian:12";
  CHECK(matching(filter) == 5);
  filter.base = "debian:11";
  CHECK(matching(filter) == 0);
  filter = {};
  filter.container = "c0ffee";
  CHECK(matching(filter) == 5);
  filter.container = "web-2";
  CHECK(matching(filter) == 1);
  filter = {};
  filter.verdict = catalog::VerdictStatus::kRevoked;
  CHECK(matching(filter) == 0);
  filter.verdict = catalog::VerdictStatus::kApproved;
  CHECK(matching(filter) == 5);
  filter.base = "debian";
  CHECK(matching(filter) == 5);
  filter = {};
  filter.node = "node-2";
  CHECK(matching(filter) == 0);
  const auto impact = store->impact("debian:12");
  CHECK(impact->running == 5);
  CHECK(impact->nodes == 1);
  CHECK(impact->running_total == 5);
  CHECK(impact->runs.size() == 5);
}

void check_moves(const OpenStore& open) {
  const auto store = open();
  const Written first = add_run(*store, 1, 100, 1);
  const Written second = add_run(*store, 2, 200, 2);
  write(*store, [&](StoreWriter& writer) {
    return writer.move_runs(first.stack, second.stack, StoreWriter::Moved::kAll);
  });
  CHECK(store->impact("debian:12")->running == 2);
  CHECK(store->trace(run_id(1), "")->runs_on_same_stack == 2);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const auto open_runs, writer.open_runs_on(second.stack, RunKey{}, 10));
    CHECK(open_runs.size() == 2);
    ASSAY_ASSIGN(const auto first_page, writer.open_runs_on(second.stack, RunKey{}, 1));
    REQUIRE(first_page.size() == 1);
    ASSAY_ASSIGN(const auto last_page, writer.open_runs_on(second.stack, first_page[0].key, 5));
    REQUIRE(last_page.size() == 1);
    CHECK(last_page[0].run_id == run_id(2));
    ASSAY_TRY(writer.set_unsettled(second.stack, first_page[0].key));
    ASSAY_ASSIGN(const auto unsettled, writer.unsettled_stacks(10));
    REQUIRE(unsettled.size() == 1);
    CHECK(unsettled[0].after == first_page[0].key);
    ASSAY_TRY(writer.set_unsettled(second.stack, std::nullopt));
    ASSAY_ASSIGN(const auto none, writer.unsettled_stacks(10));
    CHECK(none.empty());
    return ok();
  });
}

void check_findings(const OpenStore& open) {
  const auto store = open();
  const Written written = add_run(*store, 1, 100);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(writer.add_finding({"f1", FindingKind::kRevokedBase, "debian:12", "revoked",
                                  "debian:12", written.node, written.run, 10, 0, ""}));
    ASSAY_TRY(writer.add_finding(
        {"f2", FindingKind::kEvidenceGap, "g", "gap", "", written.node, std::nullopt, 20, 0, ""}));
    ASSAY_ASSIGN(const auto of_run, writer.open_findings(written.run));
    REQUIRE(of_run.size() == 1);
    CHECK(of_run[0].subject == "debian:12");
    ASSAY_TRY(writer.set_finding_reason(of_run[0].key, "still revoked", 15));
    ASSAY_ASSIGN(const auto of_node,
                 writer.open_node_findings(written.node, FindingKind::kEvidenceGap));
    CHECK(of_node.size() == 1);
    return ok();
  });
  const auto all = store->list_findings({}, std::nullopt, 10);
  REQUIRE(all->rows.size() == 2);
  CHECK(all->rows[0].finding_id == "f2");
  CHECK(all->rows[0].run_id.empty());
  CHECK(all->rows[1].reason == "still revoked");
  CHECK(all->rows[1].names.name == "web-1");
  FindingFilter by_base;
  by_base.base = "debian";
  CHECK(store->list_findings(by_base, std::nullopt, 10)->rows.size() == 1);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const auto of_run, writer.open_findings(written.run));
    ASSAY_TRY(writer.resolve_finding(of_run[0].key, 30, "the run ended"));
    ASSAY_ASSIGN(const bool had,
                 writer.had_finding(written.run, FindingKind::kRevokedBase, "debian:12"));
    CHECK(had);
    return ok();
  });
  CHECK(store->list_findings(by_base, std::nullopt, 10)->rows.empty());
  by_base.include_resolved = true;
  CHECK(store->list_findings(by_base, std::nullopt, 10)->rows[0].resolved_reason ==
        "the run ended");
}

void check_file_sets(const OpenStore& open) {
  const auto store = open();
  const Written run = add_run(*store, 1, 1000);
  const StackDigest digest = catalog::digest_of(stack(kNode, {layer(1)}));
  const Sha256 key = digest_with<Sha256>(1);
  catalog::Containment found;
  found.files = 7;
  found.why = "because";
  found.runner_up.emplace();
  found.runner_up->base = {"debian", "11"};
  catalog::ContainedBase& base = found.contained.emplace_back();
  base = {{"debian", "12"}, "linux/amd64", 10, 7, 2, 1, 700, "debian:11", 3, 2, true, "most of it"};
  CHECK_FALSE(store->trace(run_id(1), "")->containment);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const auto none, writer.find_file_set(run.stack));
    CHECK_FALSE(none);
    ASSAY_TRY(writer.set_file_set_state(run.stack, FileSetState::kWanted, 2));
    ASSAY_ASSIGN(const auto wanted, writer.wanted_file_sets(run.node, 10));
    CHECK(wanted == std::vector<FileSetWish>{{digest, 2}});
    return ok();
  });
  CHECK(store->trace(run_id(1), "")->containment->is_awaited);
  CHECK(store->trace(run_id(1), "")->containment->first_layer == 2);
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(writer.save_file_set(run.stack, {digest, 0, "", "the layers are gone"}));
    ASSAY_ASSIGN(const auto wanted, writer.wanted_file_sets(run.node, 10));
    CHECK(wanted.empty());
    ASSAY_ASSIGN(const StackRow row, writer.stack_row(run.stack));
    CHECK(row.file_set == FileSetState::kGone);
    return ok();
  });
  CHECK(store->trace(run_id(1), "")->containment->gap == "the layers are gone");
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(writer.save_file_set(run.stack, {digest, 0, std::string("f\0iles", 6), ""}));
    ASSAY_ASSIGN(const StackRow row, writer.stack_row(run.stack));
    CHECK(row.file_set == FileSetState::kThere);
    CHECK(row.file_set_from == 0);
    ASSAY_ASSIGN(const auto saved, writer.find_file_set(run.stack));
    CHECK(saved->files == std::string("f\0iles", 6));
    CHECK(saved->stack == digest);
    ASSAY_ASSIGN(const auto unknown, writer.find_containment(run.stack, key));
    CHECK_FALSE(unknown);
    ASSAY_TRY(writer.save_containment(run.stack, key, found));
    ASSAY_ASSIGN(const auto known, writer.find_containment(run.stack, key));
    CHECK(known == found);
    ASSAY_ASSIGN(const auto other, writer.find_containment(run.stack, digest_with<Sha256>(2)));
    CHECK_FALSE(other);
    return ok();
  });
  CHECK(store->trace(run_id(1), "")->containment->found == found);
}

}  // namespace

void write(Store& store, const std::function<Result<void>(StoreWriter&)>& work) {
  const auto done = store.write(work);
  INFO((done ? std::string() : done.error().text()));
  REQUIRE(done);
}

void check_store_contract(const OpenStore& open) {
  SECTION("what is acknowledged survives closing") {
    check_epochs(open);
  }
  SECTION("full states are kept, and the runs that they did not tell are found") {
    check_states(open);
  }
  SECTION("two nodes of one name in two clusters do not mix") {
    check_clusters(open);
  }
  SECTION("a failed transaction and a failed attempt leave nothing") {
    check_undo(open);
  }
  SECTION("a stack comes back as it was described") {
    check_stacks(open);
  }
  SECTION("of a verdict what changed is written, and nothing else is left") {
    check_verdicts(open);
  }
  SECTION("a run is added once, traced by id, container and name") {
    check_runs(open);
  }
  SECTION("names and digests of an image stay apart, with what records disagree on") {
    check_names(open);
  }
  SECTION("lists are newest first, paged without loss, filtered") {
    check_lists(open);
  }
  SECTION("runs move to another stack with their counts") {
    check_moves(open);
  }
  SECTION("findings open, change, resolve and stay in history") {
    check_findings(open);
  }
  SECTION("file sets of stacks are wanted, come, and keep what was found in them") {
    check_file_sets(open);
  }
  check_catalog_contract(open);
  check_scan_contract(open);
  check_retention_contract(open);
  check_people_contract(open);
}

}  // namespace assay::collector::tests
