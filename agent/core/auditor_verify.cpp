// SPDX-License-Identifier: Apache-2.0
// What can be verified on this node now: the layers of all open runs.
#include <map>
#include <utility>

#include "agent/core/auditor.h"

namespace assay::agent {
namespace {

catalog::VerifiedLayer known_of(const catalog::StackLayer& layer) {
  catalog::VerifiedLayer known;
  known.name = layer.name;
  const catalog::LayerEvidence& evidence = layer.evidence;
  known.diff_id = evidence.exact ? evidence.exact : evidence.claimed;
  known.shape = evidence.shape;
  known.content = evidence.content;
  known.tampered = evidence.tampered;
  return known;
}

void add_container(const catalog::VerifiedContainer& container, catalog::VerifiedLayer& layer) {
  ++layer.containers_total;
  if (layer.containers.size() < catalog::kMaxVerifiedContainers)
    layer.containers.push_back(container);
}

/// The layers of all stacks that runs stand on; a directory of several stacks is there once.
class Layers {
 public:
  /// Those of one stack, as indices.
  std::vector<std::size_t> add(const StackTracker::Entry& entry,
                               const std::vector<LayerTask>& tasks) {
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < entry.refs.size(); ++i) {
      const auto [known, is_new] = by_ref_.try_emplace(entry.refs[i], all.size());
      if (is_new) add_layer(entry, i, tasks);
      indices.push_back(known->second);
    }
    if (!entry.stack->unsupported.empty()) {
      VerifyTask nothing;
      nothing.unreadable = "its root cannot be read: " + entry.stack->unsupported;
      indices.push_back(all.size());
      all.push_back(std::move(nothing));
    }
    return indices;
  }

  std::vector<VerifyTask> all;

 private:
  void add_layer(const StackTracker::Entry& entry, std::size_t i,
                 const std::vector<LayerTask>& tasks) {
    const catalog::StackLayer& layer = entry.stack->layers[i];
    const bool is_placed = i < tasks.size() && ref_of(tasks[i].layer) == entry.refs[i];
    VerifyTask task{is_placed ? tasks[i] : bare_task(entry.refs[i], layer), known_of(layer), ""};
    if (layer.evidence.is_mutable || task.task.is_root_directory)
      task.unreadable = "the container itself may write to it: it is a root without layers";
    all.push_back(std::move(task));
  }

  std::map<LayerRef, std::size_t> by_ref_;
};

}  // namespace

Result<VerifyScope> Auditor::layers_to_verify(std::string_view target) const {
  Layers layers;
  std::map<StackDigest, std::vector<std::size_t>> of_stacks;
  std::vector<VerifyRun> runs;
  for (const auto& [key, run] : runs_) {
    const StackTracker::Entry* entry = stacks_.find(run.stack);
    if (entry == nullptr) continue;
    auto [known, is_new] = of_stacks.try_emplace(run.stack);
    if (is_new) known->second = layers.add(*entry, places_.find(run.stack));
    runs.push_back({{run.id, run.told.names.container_id, run.told.names.name}, known->second});
  }
  ASSAY_ASSIGN(const std::vector<std::size_t> meant, find_verify_target(target, runs, layers.all));
  VerifyScope scope;
  for (const VerifyRun& run : runs) {
    for (const std::size_t index : run.layers)
      add_container(run.container, layers.all[index].known);
    if (target.empty() || find_verify_target(target, {run}, {}))  // by itself it is one
      scope.runs.push_back(run.container);
  }
  scope.layers.reserve(meant.size());
  for (const std::size_t index : meant)
    scope.layers.push_back(std::move(layers.all[index]));
  return scope;
}

}  // namespace assay::agent
