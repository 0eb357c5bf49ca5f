// SPDX-License-Identifier: Apache-2.0
#include "collector/core/node_registry.h"

#include <utility>

namespace assay::collector {

NodeRegistry::NodeRegistry(std::vector<NodeView> saved) {
  for (auto& view : saved) {
    view.is_connected = false;
    const NodeKey key = view.key;
    entries_[key].view = std::move(view);
  }
}

NodeRegistry::Entry& NodeRegistry::entry(const NodeKey& node) {
  Entry& found = entries_[node];
  found.view.key = node;
  found.is_changed = true;
  return found;
}

std::vector<NodeView> NodeRegistry::nodes() const {
  const MutexLock lock(mutex_);
  std::vector<NodeView> all;
  all.reserve(entries_.size());
  for (const auto& [key, found] : entries_) {
    all.push_back(found.view);
    all.back().is_connected = found.streams > 0;
  }
  return all;
}

void NodeRegistry::connected(const NodeKey& node, const AgentInfo& agent, WallTime now) {
  const MutexLock lock(mutex_);
  Entry& found = entry(node);
  ++found.streams;
  found.view.last_seen_ns = to_unix_ns(now);
  found.view.version = agent.version;
  found.view.kernel = agent.kernel;
  found.view.boot_id = agent.boot_id;
  found.view.heartbeat.catalog_sequence = agent.catalog_sequence;
}

void NodeRegistry::disconnected(const NodeKey& node, WallTime now) {
  const MutexLock lock(mutex_);
  Entry& found = entry(node);
  if (found.streams > 0) --found.streams;
  found.view.last_seen_ns = to_unix_ns(now);
}

void NodeRegistry::heartbeat(const NodeKey& node, const Heartbeat& heartbeat, WallTime now) {
  const MutexLock lock(mutex_);
  Entry& found = entry(node);
  found.view.heartbeat = heartbeat;
  found.view.last_seen_ns = to_unix_ns(now);
}

void NodeRegistry::acknowledged(const NodeKey& node, std::uint64_t sequence) {
  const MutexLock lock(mutex_);
  entry(node).view.acknowledged = sequence;
}

std::vector<NodeView> NodeRegistry::take_changed() {
  const MutexLock lock(mutex_);
  std::vector<NodeView> changed;
  for (auto& [key, found] : entries_)
    if (std::exchange(found.is_changed, false)) changed.push_back(found.view);
  return changed;
}

void NodeRegistry::give_back(const std::vector<NodeView>& nodes) {
  const MutexLock lock(mutex_);
  for (const auto& node : nodes)
    entries_[node.key].is_changed = true;
}

}  // namespace assay::collector
