// SPDX-License-Identifier: Apache-2.0
// What is known of every node right now, in memory; the commit loop saves it now and then.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <vector>

#include "collector/core/ports.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace assay::collector {

/// Thread-safe.
class NodeRegistry final : public NodeDirectory {
 public:
  /// `clock` outlives the registry; `interval`: of heartbeats.
  NodeRegistry(std::vector<NodeView> saved, const Clock& clock, std::chrono::seconds interval);

  std::vector<NodeView> nodes() const override;
  void connected(const NodeKey& node, const AgentInfo& agent, WallTime now);
  void disconnected(const NodeKey& node, WallTime now);
  void heartbeat(const NodeKey& node, const Heartbeat& heartbeat, WallTime now);
  void acknowledged(const NodeKey& node, std::uint64_t sequence);
  void trust_taken(const NodeKey& node, const std::string& trust);
  void state_wanted(const NodeKey& node, bool is_wanted);
  /// Nodes that changed since the last call.
  std::vector<NodeView> take_changed();
  /// Says again that `nodes` have to be saved: saving them failed.
  void give_back(const std::vector<NodeView>& nodes);

 private:
  struct Entry {
    NodeView view;
    std::string instance;  // whose heartbeat `view` shows
    int streams = 0;
    bool is_changed = false;
  };
  Entry& entry(const NodeKey& node) ASSAY_REQUIRES(mutex_);

  NodePresence presence_of(const NodeView& node) const;

  const Clock& clock_;
  const std::chrono::nanoseconds patience_;
  mutable Mutex mutex_;
  std::map<NodeKey, Entry> entries_ ASSAY_GUARDED_BY(mutex_);
};

}  // namespace assay::collector
