// SPDX-License-Identifier: Apache-2.0
#include "collector/core/node_registry.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace assay::collector {

std::string_view to_string(NodePresence presence) {
  switch (presence) {
    case NodePresence::kConnected:
      return "connected";
    case NodePresence::kAway:
      return "away";
    case NodePresence::kSilent:
      return "silent";
  }
  return "unknown";
}

NodeRegistry::NodeRegistry(std::vector<NodeView> saved, const Clock& clock,
                           std::chrono::seconds interval)
    : clock_(clock), patience_(interval * kMissedHeartbeats) {
  for (auto& view : saved) {
    view.is_connected = false;
    const NodeKey key = view.key;
    entries_[key].view = std::move(view);
  }
}

/// A stream that has just come up is given the same time to send its first heartbeat.
NodePresence NodeRegistry::presence_of(const NodeView& node) const {
  const std::int64_t heard_ns =
      std::max(node.heartbeat_ns, node.is_connected ? node.connected_ns : std::int64_t{0});
  // On both sides: our own clock may have been set back since.
  if (std::abs(to_unix_ns(clock_.wall_now()) - heard_ns) > patience_.count())
    return NodePresence::kSilent;
  return node.is_connected ? NodePresence::kConnected : NodePresence::kAway;
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
    all.back().presence = presence_of(all.back());
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
  found.view.address = agent.address;
  found.view.connected_ns = to_unix_ns(now);
  found.view.trust = agent.trust;
  found.view.issuer = agent.issuer;
  found.view.heartbeat.catalog_sequence = agent.catalog_sequence;
  if (agent.instance != found.instance) found.view.heartbeat.number = 0;
  found.instance = agent.instance;
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
  found.view.last_seen_ns = to_unix_ns(now);
  // One that was overtaken on its way says what is no longer so.
  if (heartbeat.number != 0 && heartbeat.number <= found.view.heartbeat.number) return;
  found.view.heartbeat = heartbeat;
  found.view.heartbeat_ns = to_unix_ns(now);
  if (heartbeat.time_ns != 0)
    found.view.clock_offset_ns = heartbeat.time_ns - found.view.heartbeat_ns;
}

void NodeRegistry::acknowledged(const NodeKey& node, std::uint64_t sequence) {
  const MutexLock lock(mutex_);
  entry(node).view.acknowledged = sequence;
}

void NodeRegistry::trust_taken(const NodeKey& node, const std::string& trust) {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(node);
  if (found != entries_.end()) found->second.view.trust = trust;
}

void NodeRegistry::state_wanted(const NodeKey& node, bool is_wanted) {
  const MutexLock lock(mutex_);
  const auto found = entries_.find(node);
  if (found != entries_.end()) found->second.view.is_state_wanted = is_wanted;
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
