// SPDX-License-Identifier: Apache-2.0
// Layers that were changed under running containers, and which layers those stand on.
#include <set>
#include <utility>

#include "agent/core/auditor.h"

namespace assay::agent {
namespace {

// Layers found changed that wait for a sweep; what is more is found again by the next walk.
constexpr std::size_t kMaxUntold = 10'000;

}  // namespace

void Auditor::on_tampering(const LayerTampering& tampering) {
  if (!stacks_.lacks(tampering)) return;
  if (tampering_.size() >= kMaxUntold && !tampering_.contains(tampering.ref)) return;
  tampering_.insert_or_assign(tampering.ref, std::pair(tampering, ports_.clock.boot_now()));
  ports_.source.request_sweep();
}

void Auditor::tell_tampering(BootTime began) {
  std::vector<LayerTampering> confirmed;
  for (auto found = tampering_.begin(); found != tampering_.end();) {
    const auto& [tampering, time] = found->second;
    if (began < time) {
      ++found;
      continue;
    }
    if (stacks_.lacks(tampering)) confirmed.push_back(tampering);
    found = tampering_.erase(found);
  }
  counters_.tampered += confirmed.size();
  follow(apply(confirmed), /*is_of_running=*/true);
}

LayerTask bare_task(const LayerRef& ref, const catalog::StackLayer& layer) {
  LayerTask task;
  task.layer.device = ref.device;
  task.layer.inode = ref.inode;
  task.layer.generation = ref.generation;
  task.layer.name = layer.name;
  return task;
}

std::vector<LayerTask> Auditor::tasks_of(const StackDigest& stack,
                                         const StackTracker::Entry& entry) const {
  std::vector<LayerTask> tasks = places_.find(stack);
  tasks.resize(entry.refs.size());
  for (std::size_t i = 0; i < entry.refs.size(); ++i)
    if (ref_of(tasks[i].layer) != entry.refs[i])
      tasks[i] = bare_task(entry.refs[i], entry.stack->layers[i]);
  return tasks;
}

std::vector<LayerTask> Auditor::running_layers() const {
  std::vector<LayerTask> layers;
  std::set<LayerRef> known;
  for (const auto& [digest, entry] : stacks_.entries()) {
    if (entry.runs == 0) continue;
    std::vector<LayerTask> tasks = tasks_of(digest, entry);
    for (std::size_t i = 0; i < entry.refs.size(); ++i) {
      const bool is_root = entry.stack->layers[i].evidence.is_mutable;
      if (is_root || !known.insert(entry.refs[i]).second) continue;
      layers.push_back(std::move(tasks[i]));
    }
  }
  std::erase_if(layers, [](const LayerTask& task) { return task.is_root_directory; });
  return layers;
}

}  // namespace assay::agent
