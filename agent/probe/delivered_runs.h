// SPDX-License-Identifier: Apache-2.0
// Which runs a source has told of.
#pragma once

#include <optional>
#include <unordered_map>

#include "agent/core/events.h"
#include "common/base/clock.h"

namespace assay::agent {

/// Remembers what was delivered, so that each run is told of once. Not thread-safe: it lives on the
/// source's thread.
class DeliveredRuns {
 public:
  bool contains(const RunKey& key) const { return runs_.contains(key); }
  /// Whether a start is news: of a run not told of, or with the layers that its run was told
  /// without. Remembers it when it is.
  bool accept(const ContainerStart& start, BootTime now);
  /// Whether `key` was told of without its layers and should be asked for again.
  bool wants_layers(const RunKey& key, BootTime now) const;
  void mark_emptied(const RunKey& key, BootTime time);
  /// Of a run that a sweep saw, which began at `swept` and whose oldest task began at
  /// `oldest_task`. Forgets `key` when its last task went before that one began: a new life of the
  /// same root.
  void forget_earlier_life(const RunKey& key, BootTime oldest_task, BootTime swept);
  /// Forgets the runs that were delivered before `began` and that `is_live` does not know.
  template <typename Predicate>
  void retain(BootTime began, Predicate is_live) {
    std::erase_if(runs_, [&](const auto& entry) {
      return entry.second.delivered < began && !is_live(entry.first);
    });
  }

 private:
  static constexpr BootTime kFirstPause = std::chrono::seconds(1);
  static constexpr BootTime kLongestPause = std::chrono::seconds(60);

  struct Delivered {
    BootTime delivered{};
    ProcessKey first;  ///< process of the start
    std::optional<BootTime> emptied;
    bool lacks_layers = false;
    BootTime next_try{};  ///< of asking for the layers; later each time it was in vain
    BootTime pause = kFirstPause;
  };
  static bool completes(Delivered& run, const ContainerStart& start, BootTime now);

  std::unordered_map<RunKey, Delivered> runs_;
};

}  // namespace assay::agent
