// SPDX-License-Identifier: Apache-2.0
#include "agent/core/stack_places.h"

#include "agent/core/run_identity.h"
#include "agent/core/state_telling.h"

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
  auto start = std::make_unique<const ContainerStart>(opening_facts(tasks));
  const std::size_t bytes = memory_of(*start);
  insert(digest, {std::move(start), bytes, {}});
}

void StackPlaces::move(const StackDigest& from, const StackDigest& to) {
  const auto found = places_.find(from);
  if (found != places_.end()) insert(to, take(found));
}

StackPlaces::Place StackPlaces::take(std::unordered_map<StackDigest, Place>::iterator found) {
  Place place = std::move(found->second);
  bytes_ -= place.bytes;
  by_time_.erase(place.order);
  places_.erase(found);
  return place;
}

void StackPlaces::insert(const StackDigest& digest, Place place) {
  if (const auto known = places_.find(digest); known != places_.end()) (void)take(known);
  place.order = by_time_.insert(by_time_.end(), digest);
  bytes_ += place.bytes;
  places_.emplace(digest, std::move(place));
  while (bytes_ > max_bytes_)
    (void)take(places_.find(StackDigest(by_time_.front())));
}

std::vector<LayerTask> StackPlaces::find(const StackDigest& digest) const {
  const auto found = places_.find(digest);
  if (found == places_.end()) return {};
  return plan_layers(*found->second.start).tasks;
}

}  // namespace assay::agent
