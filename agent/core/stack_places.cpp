// SPDX-License-Identifier: Apache-2.0
#include "agent/core/stack_places.h"

#include "agent/core/run_identity.h"

namespace assay::agent {
namespace {

/// What opening a layer and its id map ask for, and nothing of what a container can make long.
ContainerStart opening_facts(const std::vector<LayerTask>& tasks) {
  ContainerStart start = tasks.front().start;
  start.namespace_pids.clear();
  start.cgroup_path.clear();
  start.executable.clear();
  start.arguments.clear();
  start.layers.clear();
  if (tasks.front().is_root_directory) return start;
  for (const LayerTask& task : tasks)
    start.layers.push_back(task.layer);
  return start;
}

}  // namespace

void StackPlaces::put(const StackDigest& digest, const std::vector<LayerTask>& tasks) {
  if (tasks.empty()) return;
  insert(digest, {std::make_shared<const ContainerStart>(opening_facts(tasks)), {}});
}

void StackPlaces::move(const StackDigest& from, const StackDigest& to) {
  const auto found = places_.find(from);
  if (found == places_.end()) return;
  Place place = found->second;
  by_time_.erase(place.order);
  places_.erase(found);
  insert(to, std::move(place));
}

void StackPlaces::insert(const StackDigest& digest, Place place) {
  if (const auto known = places_.find(digest); known != places_.end()) {
    by_time_.erase(known->second.order);
    places_.erase(known);
  }
  place.order = by_time_.insert(by_time_.end(), digest);
  places_.emplace(digest, std::move(place));
  if (places_.size() <= max_stacks_) return;
  places_.erase(by_time_.front());
  by_time_.pop_front();
}

std::vector<LayerTask> StackPlaces::find(const StackDigest& digest) const {
  const auto found = places_.find(digest);
  if (found == places_.end()) return {};
  return plan_layers(*found->second.start).tasks;
}

}  // namespace assay::agent
