// SPDX-License-Identifier: Apache-2.0
#include "agent/core/stack_tracker.h"

#include <algorithm>
#include <utility>

#include "agent/core/run_identity.h"

namespace assay::agent {
namespace {

bool waits(const StackTracker::Entry& entry) {
  return std::find(entry.is_final.begin(), entry.is_final.end(), false) != entry.is_final.end();
}

/// A shape that was still on its way when the layer's content was already recalled says nothing
/// new.
bool is_outdated(const catalog::StackLayer& known, const catalog::StackLayer& result) {
  return known.evidence.content && !result.evidence.content &&
         known.evidence.shape == result.evidence.shape;
}

}  // namespace

void keep_told(catalog::LayerEvidence& evidence, const catalog::LayerEvidence& before) {
  catalog::take_claim(evidence, before);
  catalog::take_tampering(evidence, before);
  if (!evidence.exact && evidence.content && evidence.content == before.content)
    evidence.exact = before.exact;
  if (!evidence.tampered.empty()) evidence.exact.reset();
}

StackDigest StackTracker::add_run(catalog::Stack stack, std::vector<LayerRef> refs,
                                  std::vector<bool> is_final) {
  const StackDigest digest = catalog::digest_of(stack);
  auto [position, is_new] = entries_.try_emplace(digest);
  Entry& entry = position->second;
  if (is_new) {
    entry.stack = std::make_shared<const catalog::Stack>(std::move(stack));
    entry.refs = std::move(refs);
    entry.is_final = std::move(is_final);
    entry.order = next_order_++;
    index(digest, entry);
  }
  ++entry.runs;
  return digest;
}

void StackTracker::remove_run(const StackDigest& digest) {
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return;
  ASSAY_ASSERT(found->second.runs > 0);
  if (--found->second.runs > 0) return;
  if (!waits(found->second))
    erase(digest);
  else
    drop_oldest_waiting();
}

std::vector<StackChange> StackTracker::apply(const LayerResult& result) {
  return edit_layer(result.ref,
                    [&](catalog::StackLayer& layer, std::vector<bool>::reference is_final) {
                      if (is_outdated(layer, result.layer)) return;
                      const catalog::StackLayer before = std::exchange(layer, result.layer);
                      layer.name = before.name;
                      keep_told(layer.evidence, before.evidence);
                      is_final = result.is_final;
                    });
}

std::vector<StackChange> StackTracker::apply(const LayerClaim& claim) {
  return edit_layer(claim.ref, [&](catalog::StackLayer& layer, std::vector<bool>::reference) {
    take_claim(layer, claim);
  });
}

std::vector<StackChange> StackTracker::apply(const LayerTampering& tampering) {
  std::vector<StackChange> changes;
  const auto holders = by_ref_.find(tampering.ref);
  if (holders == by_ref_.end()) return changes;
  const std::set<StackDigest> digests = holders->second;  // a copy: entries move below
  for (const StackDigest& from : digests) {
    const auto entry = entries_.find(from);
    if (entry == entries_.end() || entry->second.runs == 0) continue;
    Entry left = entry->second;
    if (auto change = edit_entry(from, tampering.ref,
                                 [&](catalog::StackLayer& layer, std::vector<bool>::reference) {
                                   layer.evidence.tampered = tampering.tampered;
                                   layer.evidence.exact.reset();
                                 }))
      changes.push_back(std::move(*change));
    // Runs that ended before stand on the stack as it was, and wait for the rest of its evidence.
    left.runs = 0;
    if (!waits(left) || entries_.contains(from)) continue;
    put(from, std::move(left));
    drop_oldest_waiting();
  }
  return changes;
}

std::vector<StackChange> StackTracker::apply(const LayerExact& exact) {
  return edit_layer(exact.ref, [&](catalog::StackLayer& layer, std::vector<bool>::reference) {
    catalog::LayerEvidence& evidence = layer.evidence;
    const bool is_same = evidence.content == exact.content && evidence.shape == exact.shape;
    const bool is_claimed = !evidence.is_claim_for_display && evidence.claimed == exact.diff_id;
    if (!is_same || !is_claimed || !evidence.tampered.empty()) return;
    evidence.exact = exact.diff_id;
    if (!evidence.is_capped_at_shape) evidence.gap.clear();  // why there was no proof
  });
}

std::vector<StackChange> StackTracker::apply(const LayerMismatch& mismatch) {
  return edit_layer(mismatch.ref, [](catalog::StackLayer& layer, std::vector<bool>::reference) {
    layer.evidence.exact.reset();
  });
}

std::vector<StackChange> StackTracker::apply(const LayerUnproven& unproven) {
  return edit_layer(unproven.ref, [&](catalog::StackLayer& layer, std::vector<bool>::reference) {
    if (layer.evidence.gap.empty() && !layer.evidence.exact) layer.evidence.gap = unproven.reason;
  });
}

bool StackTracker::lacks(const LayerTampering& tampering) const {
  const auto holders = by_ref_.find(tampering.ref);
  if (holders == by_ref_.end()) return false;
  for (const StackDigest& digest : holders->second) {
    const Entry& entry = entries_.at(digest);
    for (std::size_t i = 0; entry.runs > 0 && i < entry.refs.size(); ++i)
      if (entry.refs[i] == tampering.ref &&
          entry.stack->layers[i].evidence.tampered != tampering.tampered)
        return true;
  }
  return false;
}

std::vector<StackChange> StackTracker::edit_layer(const LayerRef& ref, const Edit& edit) {
  std::vector<StackChange> changes;
  const auto holders = by_ref_.find(ref);
  if (holders == by_ref_.end()) return changes;
  const std::set<StackDigest> digests = holders->second;  // a copy: entries move below
  for (const StackDigest& from : digests)
    if (auto change = edit_entry(from, ref, edit)) changes.push_back(std::move(*change));
  return changes;
}

std::optional<StackChange> StackTracker::edit_entry(const StackDigest& from, const LayerRef& ref,
                                                    const Edit& edit) {
  Entry entry = entries_.at(from);
  catalog::Stack stack = *entry.stack;
  for (std::size_t i = 0; i < entry.refs.size(); ++i)
    if (entry.refs[i] == ref) edit(stack.layers[i], entry.is_final[i]);
  const StackDigest to = catalog::digest_of(stack);
  erase(from);
  entry.stack = std::make_shared<const catalog::Stack>(std::move(stack));
  std::optional<StackChange> change;
  if (from != to) change = {from, to, entry.stack, entries_.contains(to)};
  if (entry.runs == 0 && !waits(entry)) return change;
  if (const auto existing = entries_.find(to); existing != entries_.end())
    existing->second.runs += entry.runs;
  else
    put(to, std::move(entry));
  return change;
}

const StackTracker::Entry* StackTracker::find(const StackDigest& digest) const {
  const auto found = entries_.find(digest);
  return found == entries_.end() ? nullptr : &found->second;
}

void StackTracker::put(const StackDigest& digest, Entry entry) {
  index(digest, entry);
  entries_.emplace(digest, std::move(entry));
}

void StackTracker::index(const StackDigest& digest, const Entry& entry) {
  for (const LayerRef& ref : entry.refs)
    by_ref_[ref].insert(digest);
}

void StackTracker::erase(const StackDigest& digest) {
  const auto found = entries_.find(digest);
  if (found == entries_.end()) return;
  for (const LayerRef& ref : found->second.refs) {
    const auto holders = by_ref_.find(ref);
    if (holders == by_ref_.end()) continue;
    holders->second.erase(digest);
    if (holders->second.empty()) by_ref_.erase(holders);
  }
  entries_.erase(found);
}

void StackTracker::drop_oldest_waiting() {
  std::size_t waiting = 0;
  const StackDigest* oldest = nullptr;
  std::uint64_t order = UINT64_MAX;
  for (const auto& [digest, entry] : entries_) {
    if (entry.runs > 0) continue;
    ++waiting;
    if (entry.order < order) {
      order = entry.order;
      oldest = &digest;
    }
  }
  if (waiting > max_waiting_ && oldest != nullptr) erase(StackDigest(*oldest));
}

}  // namespace assay::agent
