// SPDX-License-Identifier: Apache-2.0
// Which of two agents that give themselves for one node may speak for it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "collector/core/events.h"

namespace assay::collector {

/// The agent that is there stays, as long as it is heard of: so nobody with a stolen certificate
/// can push it out, and the events of two machines never mix. A second one is refused; when the
/// first speaks on after that, both are alive, which is an identity conflict. Not thread-safe.
class IdentityGuard {
 public:
  using Time = std::chrono::steady_clock::time_point;

  /// `heartbeat`: three of them without a word, and an agent counts as gone.
  explicit IdentityGuard(std::chrono::seconds heartbeat);

  struct Speaker {
    std::string instance;  ///< of one process; the same one back is a new connection of it
    Time heard{};
  };
  enum class Decision {
    kAccept,    ///< the newcomer speaks from now on
    kRefuse,    ///< the one that is there goes on
    kConflict,  ///< likewise, and it is time to tell (once a minute for each node)
  };
  /// `present`: who speaks for `node` now.
  Decision decide(const NodeKey& node, const std::optional<Speaker>& present,
                  const std::string& newcomer, Time now);

 private:
  struct Contest {
    std::map<std::string, Time> refused;  // instance, when first
    std::optional<Time> told;
  };
  const std::chrono::seconds patience_;
  std::map<NodeKey, Contest> contests_;
};

}  // namespace assay::collector
