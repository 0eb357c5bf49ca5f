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

}  // namespace

Result<void> Replay::apply(const Statement& statement, const std::string& signer) {
  if (statement.action == Action::kSetPolicy) {
    policy_ = *statement.policy;
    return ok();
  }
  const auto found = bases_.find(statement.base);
  const bool is_new = found == bases_.end();
  if (is_new && statement.action != Action::kApprove)
    return refused(statement.base, "does not exist: check name and version");
  Base& base = is_new ? bases_[statement.base] : found->second;
  if (statement.action == Action::kApprove)
    ASSAY_TRY(approve(base, statement, is_new));
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
  return ok();
}

Result<void> Replay::approve(Base& base, const Statement& statement, bool is_new) {
  if (!is_new && base.status != BaseStatus::kApproved)
    return refused(base.id, "is " + std::string(to_string(base.status)) +
                                " and cannot be approved again: use a new version");
  base.status = BaseStatus::kApproved;
  if (statement.expires_at) base.expires_at = statement.expires_at;
  for (const BaseStack& stack : statement.stacks) {
    const bool is_known =
        std::any_of(base.stacks.begin(), base.stacks.end(),
                    [&](const BaseStack& known) { return is_same(known, stack); });
    if (!is_known) base.stacks.push_back(stack);
  }
  return ok();
}

Result<void> Replay::deprecate(Base& base, const Statement& statement) {
  if (base.status == BaseStatus::kRevoked)
    return refused(base.id, "is revoked and stays so: it cannot be deprecated");
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
  return Catalog(std::move(catalog_id), sequence, std::move(bases_), policy_);
}

}  // namespace assay::catalog
