// SPDX-License-Identifier: Apache-2.0
// Layers that were proven by their tar streams, and those that these contradict.
#include <algorithm>
#include <set>
#include <utility>

#include "agent/core/auditor.h"

namespace assay::agent {
namespace {

// Directories; what is beyond is found again by the next check of it.
constexpr std::size_t kMaxMismatches = 10'000;

bool may_be_proven(const catalog::StackLayer& layer) {
  const catalog::LayerEvidence& evidence = layer.evidence;
  return evidence.content && !evidence.is_mutable && evidence.tampered.empty() &&
         !layer.is_injected;
}

}  // namespace

std::vector<LayerTask> Auditor::layers_to_prove(const WantsProof& wants) const {
  std::vector<LayerTask> layers;
  std::set<LayerRef> known;
  for (const auto& [digest, entry] : stacks_.entries()) {
    if (entry.runs == 0) continue;
    std::vector<LayerTask> tasks;  // looked for only when they are wanted
    for (std::size_t i = 0; i < entry.refs.size(); ++i) {
      const catalog::StackLayer& layer = entry.stack->layers[i];
      if (!may_be_proven(layer) || known.contains(entry.refs[i])) continue;
      if (!wants(entry.refs[i], layer.evidence.exact.has_value())) continue;
      if (tasks.empty()) tasks = places_.find(digest);
      if (i >= tasks.size() || ref_of(tasks[i].layer) != entry.refs[i]) continue;
      known.insert(entry.refs[i]);
      layers.push_back(tasks[i]);
    }
  }
  return layers;
}

void Auditor::on_exact(const LayerExact& exact) {
  follow(apply(std::vector{exact}));
}

void Auditor::on_mismatch(const LayerMismatch& mismatch) {
  follow(apply(std::vector{mismatch}));
  if (mismatches_.size() >= kMaxMismatches && !mismatches_.contains(mismatch.ref)) return;
  mismatches_.insert_or_assign(mismatch.ref, mismatch.text);
  for (auto& [key, run] : runs_)
    tell_mismatches(run);
}

void Auditor::on_unproven(const LayerUnproven& unproven) {
  if (catalog_->policy().required_rung < catalog::Rung::kExact) return;
  follow(apply(std::vector{unproven}));
}

void Auditor::tell_mismatches(Run& run) {
  if (mismatches_.empty()) return;
  const StackTracker::Entry* const entry = stacks_.find(run.stack);
  bool is_news = false;
  for (std::size_t i = 0; entry != nullptr && i < entry->refs.size(); ++i) {
    const auto found = mismatches_.find(entry->refs[i]);
    if (found == mismatches_.end()) continue;
    const std::string subject = "layer " + std::to_string(i + 1) + "'s tar stream: ";
    is_news |= add_conflict(run.told, subject + found->second);
  }
  if (is_news) tell_names(run.id, run.told);
}

}  // namespace assay::agent
