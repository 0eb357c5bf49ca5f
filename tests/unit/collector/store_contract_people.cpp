// SPDX-License-Identifier: Apache-2.0
// The contract's part about people: their tokens, what they did, and the audit log.
#include "common/base/sha256.h"
#include "tests/unit/collector/store_contract.h"
#include "tests/unit/collector/support.h"

namespace assay::collector::tests {
namespace {

TokenRow token(const std::string& id, std::int64_t expires_ns) {
  TokenRow row;
  row.view = {id, "ci", Role::kApprover, {Scope::kRunsRead, Scope::kCatalogSubmit}, 5, "user:ann"};
  row.view.expires_ns = expires_ns;
  row.hash = sha256(id);
  return row;
}

void check_tokens(const OpenStore& open) {
  {
    const auto store = open();
    write(*store, [](StoreWriter& writer) -> Result<void> {
      ASSAY_TRY(writer.add_token(token("a", 100)));
      ASSAY_TRY(writer.add_token(token("b", 200)));
      ASSAY_TRY(writer.revoke_token("b", 7, "user:bob"));
      ASSAY_TRY(writer.revoke_token("b", 8, "user:carl"));
      ASSAY_TRY(writer.set_token_used("b", 6));
      return writer.add_token(token("b", 999));  // the row that is there stays
    });
  }
  const auto store = open();
  auto rows = store->load_tokens();
  REQUIRE(rows->size() == 2);
  const TokenRow& b = (*rows)[0].view.id == "b" ? (*rows)[0] : (*rows)[1];
  CHECK(b.view.scopes == std::vector{Scope::kRunsRead, Scope::kCatalogSubmit});
  CHECK(b.view.role == Role::kApprover);
  CHECK(b.view.expires_ns == 200);
  CHECK(b.view.revoked_ns == 7);
  CHECK(b.view.revoked_by == "user:bob");
  CHECK(b.view.last_used_ns == 6);
  CHECK(b.hash == sha256("b"));
  write(*store, [](StoreWriter& writer) { return writer.forget_tokens(200); });
  CHECK(store->load_tokens()->size() == 1);
}

void check_audit(const OpenStore& open) {
  const auto store = open();
  write(*store, [](StoreWriter& writer) -> Result<void> {
    ASSAY_TRY(writer.audit({1, "user:ann", "token.create", "x", "done", "", "ipv4:1.2.3.4:5"}));
    ASSAY_TRY(writer.audit({2, "token:ann/00ff", "finding.mute", "y", "done", ""}));
    ASSAY_TRY(writer.audit({3, "user:anna", "Query.ListRuns", "", "refused", "no"}));
    return writer.audit({4, "collector", "token.create", "z", "done", ""});
  });
  const auto subjects = [&](const AuditFilter& filter) {
    std::vector<std::string> found;
    const auto page = store->list_audit(filter, std::nullopt, 10);
    REQUIRE(page);
    for (const AuditEntry& entry : page->rows)
      found.push_back(entry.subject);
    return found;
  };
  using Texts = std::vector<std::string>;
  CHECK(subjects({}) == Texts{"z", "", "y", "x"});
  CHECK(subjects({"ann", "", "", 0}) == Texts{"y", "x"});
  CHECK(subjects({"user:ann", "", "", 0}) == Texts{"x"});
  CHECK(subjects({"token:ann", "", "", 0}) == Texts{"y"});
  CHECK(subjects({"collector", "", "", 0}) == Texts{"z"});
  CHECK(subjects({"", "token", "", 0}) == Texts{"z", "x"});
  CHECK(subjects({"", "tok", "", 0}).empty());
  CHECK(subjects({"", "", "refused", 0}) == Texts{""});
  CHECK(subjects({"", "", "", 3}) == Texts{"z", ""});
  CHECK(subjects({"%", "", "", 0}).empty());
  const auto first = store->list_audit({}, std::nullopt, 3);
  REQUIRE(first->next);
  const auto second = store->list_audit({}, first->next, 3);
  REQUIRE(second->rows.size() == 1);
  CHECK(second->rows[0].peer == "ipv4:1.2.3.4:5");
  CHECK_FALSE(second->next);
}

void check_triage(const OpenStore& open) {
  const std::string id(32, 'a');
  TriageState state{"user:ann", 1, "note", "bob", "user:ann", "user:carl", 2, 50, "why", "as", 3};
  {
    const auto store = open();
    write(*store, [&](StoreWriter& writer) -> Result<void> {
      ASSAY_ASSIGN(const NodeId node, writer.node_id(kNode));
      ASSAY_TRY(writer.add_finding(
          {id, catalog::FindingKind::kEvidenceGap, "s", "r", "", node, std::nullopt, 10, 0, ""}));
      ASSAY_ASSIGN(const TriagedFinding found, writer.triaged_finding(id.substr(0, 8)));
      CHECK(found.finding_id == id);
      CHECK_FALSE(found.stack);
      CHECK(found.triage.word() == "new");
      CHECK(writer.triaged_finding("abc").error().code == ErrorCode::kInvalidArgument);
      CHECK(writer.triaged_finding("bbbbbbbb").error().code == ErrorCode::kNotFound);
      ASSAY_TRY(writer.set_triage(found.key, state));
      ASSAY_TRY(writer.add_triage_entry(found.key, {1, "user:ann", "assign", "", "bob"}));
      ASSAY_TRY(writer.add_triage_entry(found.key, {2, "user:carl", "mute", "why", "", 50}));
      ASSAY_ASSIGN(const auto early, writer.ended_mutes(49, 10));
      CHECK(early.empty());
      ASSAY_ASSIGN(const auto ended, writer.ended_mutes(50, 10));
      CHECK(ended == std::vector{found.key});
      ASSAY_ASSIGN(const auto of_node,
                   writer.open_node_findings(node, catalog::FindingKind::kEvidenceGap));
      CHECK(of_node[0].muted_as == "as");
      return ok();
    });
  }
  const auto store = open();
  const auto detail = store->finding(id);
  REQUIRE(detail);
  const TriageState& read = detail->finding.triage;
  CHECK(read.acknowledged_note == "note");
  CHECK(read.assignee == "bob");
  CHECK(read.muted_reason == "why");
  CHECK(read.revision == 3);
  REQUIRE(detail->history.size() == 2);
  CHECK(detail->history[0].muted_until_ns == 50);
  CHECK(detail->history[1].assignee == "bob");
  const auto counts = store->finding_counts();
  CHECK(counts->open == 1);
  CHECK(counts->muted == 1);
  CHECK(counts->acknowledged == 0);
  const auto listed = [&](const FindingFilter& filter) {
    return store->list_findings(filter, std::nullopt, 10)->rows.size();
  };
  FindingFilter filter;
  filter.include_muted = false;
  CHECK(listed(filter) == 0);
  filter.triage = "muted";
  CHECK(listed(filter) == 1);
  filter.assignee = "nobody";
  CHECK(listed(filter) == 0);
  // What is over goes with its history.
  write(*store, [&](StoreWriter& writer) -> Result<void> {
    ASSAY_ASSIGN(const TriagedFinding found, writer.triaged_finding(id));
    ASSAY_TRY(writer.resolve_finding(found.key, 60, "over"));
    ASSAY_ASSIGN(const AgedRows gone, writer.remove_aged(Aged::kFindings, 61, {}, 10));
    CHECK(gone.removed == 1);
    ASSAY_ASSIGN(const auto mutes, writer.ended_mutes(1000, 10));
    CHECK(mutes.empty());
    return ok();
  });
  CHECK(store->finding(id).error().code == ErrorCode::kNotFound);
}

}  // namespace

void check_people_contract(const OpenStore& open) {
  SECTION("tokens") {
    check_tokens(open);
  }
  SECTION("the audit log is filtered and paged") {
    check_audit(open);
  }
  SECTION("triage of findings") {
    check_triage(open);
  }
}

}  // namespace assay::collector::tests
