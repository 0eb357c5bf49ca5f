// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/catalog.h"

#include <algorithm>

#include "common/catalog/standing.h"

namespace assay::catalog {
namespace {

void add_unique(std::vector<StackReference>& to, const StackReference& reference) {
  for (const StackReference& known : to)
    if (known.stack == reference.stack && known.is_root == reference.is_root) return;
  to.push_back(reference);
}

void take_earlier(std::optional<WallTime>& earliest, const std::optional<WallTime>& date,
                  WallTime now) {
  if (date && *date > now && (!earliest || *date < *earliest)) earliest = date;
}

}  // namespace

Catalog::Catalog(std::string id, std::uint64_t sequence, std::map<BaseId, Base> bases,
                 Policy policy)
    : id_(std::move(id)),
      sequence_(sequence),
      bases_(std::move(bases)),
      policy_(std::move(policy)) {
  for (const auto& [base_id, base] : bases_) {
    if (base.status == BaseStatus::kDraft) continue;  // a draft says nothing about any run
    for (const BaseStack& stack : base.stacks) {
      if (stack.layers.empty()) continue;
      const StackReference reference{&base, &stack, false};
      const BaseLayer& bottom = stack.layers.front();
      add_unique(by_bottom_[bottom.shape.bytes], reference);
      add_unique(by_bottom_[bottom.content.bytes], reference);
      if (bottom.diff_id) add_unique(by_bottom_[bottom.diff_id->bytes], reference);
      if (bottom.deviceless) {
        add_unique(by_bottom_[bottom.deviceless->shape.bytes], reference);
        add_unique(by_bottom_[bottom.deviceless->content.bytes], reference);
      }
      if (!stack.root) continue;
      const StackReference root{&base, &stack, true};
      add_unique(by_bottom_[stack.root->shape.bytes], root);
      add_unique(by_bottom_[stack.root->content.bytes], root);
    }
  }
}

const Base* Catalog::find(const BaseId& id) const {
  const auto found = bases_.find(id);
  return found == bases_.end() ? nullptr : &found->second;
}

std::vector<const Base*> Catalog::versions_of(std::string_view name) const {
  std::vector<const Base*> versions;
  for (auto at = bases_.lower_bound(BaseId{std::string(name), ""});
       at != bases_.end() && at->first.name == name; ++at)
    versions.push_back(&at->second);
  return versions;
}

std::vector<StackReference> Catalog::candidates(const LayerEvidence& bottom) const {
  std::vector<StackReference> found;
  const auto look_up = [&](const auto& digest) {
    if (!digest) return;
    const auto entry = by_bottom_.find(digest->bytes);
    if (entry == by_bottom_.end()) return;
    for (const StackReference& reference : entry->second)
      add_unique(found, reference);
  };
  look_up(bottom.shape);
  look_up(bottom.content);
  look_up(bottom.claimed);
  return found;
}

std::optional<WallTime> Catalog::next_change_after(WallTime now, const ScanSummaries* scans) const {
  std::optional<WallTime> earliest;
  for (const Exemption& exemption : policy_.exemptions)
    take_earlier(earliest, exemption.until, now);
  for (const auto& [base_id, base] : bases_) {
    if (base.status == BaseStatus::kDraft || base.status == BaseStatus::kRevoked) continue;
    take_earlier(earliest, base.expires_at, now);
    if (base.status == BaseStatus::kDeprecated) take_earlier(earliest, base.deprecated_until, now);
    take_earlier(earliest, next_rule_after(base, policy_, scans, now), now);
  }
  return earliest;
}

Catalog Catalog::with_policy(Policy policy) const {
  return Catalog(id_, sequence_, bases_, std::move(policy));
}

}  // namespace assay::catalog
