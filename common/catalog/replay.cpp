// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/replay.h"

#include <algorithm>

namespace assay::catalog {
namespace {

Error refused(const BaseId& id, std::string_view why) {
  return Error{ErrorCode::kInvalidArgument, "base " + id.text() + " " + std::string(why)};
}

bool is_same(const BaseLayer& a, const BaseLayer& b) {
  return a.diff_id == b.diff_id && a.shape == b.shape && a.content == b.content &&
         a.deletions == b.deletions && a.deviceless == b.deviceless;
}

bool is_same(const BaseStack& a, const BaseStack& b) {
  return a.platform == b.platform && a.manifest_digest == b.manifest_digest && a.root == b.root &&
         a.file_set == b.file_set &&
         std::equal(a.layers.begin(), a.layers.end(), b.layers.begin(), b.layers.end(),
                    [](const BaseLayer& x, const BaseLayer& y) { return is_same(x, y); });
}

/// Reproducible builds write constants for the time: 1970, 1980, 1985. None is older than this.
constexpr WallTime kFirstBelievedBuild =
    std::chrono::sys_days(std::chrono::year(2000) / std::chrono::January / 1);

/// Never after the approval: an image cannot say of itself that it stays fresh.
std::optional<WallTime> built_at(const Base& base) {
  const auto annotation = base.annotations.find(std::string(kCreatedAnnotation));
  if (annotation == base.annotations.end()) return std::nullopt;
  const auto created = parse_rfc3339(annotation->second);
  if (!created || *created < kFirstBelievedBuild) return std::nullopt;
  return std::min(*created, *base.approved_at);
}

}  // namespace

Result<void> Replay::apply(const Statement& statement, const std::string& signer) {
  if (statement.action == Action::kSetPolicy) {
    policy_ = *statement.policy;
    return ok();
  }
  const auto found = bases_.find(statement.base);
  const bool is_new = found == bases_.end();
  const bool may_be_new =
      statement.action == Action::kApprove || statement.action == Action::kDraft;
  if (is_new && !may_be_new)
    return refused(statement.base, "does not exist: check name and version");
  Base& base = is_new ? bases_[statement.base] : found->second;
  if (statement.action == Action::kApprove)
    ASSAY_TRY(approve(base, statement, is_new));
  else if (statement.action == Action::kDraft)
    ASSAY_TRY(draft(base, statement, is_new));
  else if (statement.action == Action::kDeprecate)
    ASSAY_TRY(deprecate(base, statement));
  else
    ASSAY_TRY(revoke(base));
  base.id = statement.base;
  base.reason = statement.reason;
  if (!statement.successor.empty()) base.successor = statement.successor;
  base.changed_at = statement.issued_at;
  base.changed_by = signer;
  base.changed_in = statement.sequence;
  for (const auto& [key, value] : statement.annotations)
    base.annotations[key] = value;
  if (base.approved_at) base.built_at = built_at(base);
  return ok();
}

Result<void> Replay::approve(Base& base, const Statement& statement, bool is_new) {
  const bool is_draft = !is_new && base.status == BaseStatus::kDraft;
  if (!is_new && !is_draft && base.status != BaseStatus::kApproved)
    return refused(base.id, "is " + std::string(to_string(base.status)) +
                                " and cannot be approved again: use a new version");
  base.status = BaseStatus::kApproved;
  if (!base.approved_at) base.approved_at = statement.issued_at;
  if (is_draft) base.stacks.clear();  // what is approved is what this statement says
  if (statement.expires_at) base.expires_at = statement.expires_at;
  for (const BaseStack& stack : statement.stacks) {
    const bool is_known =
        std::any_of(base.stacks.begin(), base.stacks.end(),
                    [&](const BaseStack& known) { return is_same(known, stack); });
    if (!is_known) base.stacks.push_back(stack);
  }
  return ok();
}

/// A draft says nothing about any run; a later one replaces it.
Result<void> Replay::draft(Base& base, const Statement& statement, bool is_new) {
  if (!is_new && base.status != BaseStatus::kDraft)
    return refused(base.id, "is " + std::string(to_string(base.status)) +
                                " already: only new bases and drafts become drafts");
  base.status = BaseStatus::kDraft;
  base.stacks = statement.stacks;
  return ok();
}

Result<void> Replay::deprecate(Base& base, const Statement& statement) {
  if (base.status == BaseStatus::kRevoked)
    return refused(base.id, "is revoked and stays so: it cannot be deprecated");
  if (base.status == BaseStatus::kDraft) return refused(base.id, "is a draft: approve it first");
  base.status = BaseStatus::kDeprecated;  // a second time moves the date
  base.deprecated_until = statement.deprecated_until;
  return ok();
}

Result<void> Replay::revoke(Base& base) {
  if (base.status == BaseStatus::kRevoked) return refused(base.id, "is revoked already");
  base.status = BaseStatus::kRevoked;
  return ok();
}

Catalog Replay::finish(std::string catalog_id, std::uint64_t sequence) && {
  return Catalog(std::move(catalog_id), sequence, std::move(bases_), std::move(policy_));
}

}  // namespace assay::catalog
