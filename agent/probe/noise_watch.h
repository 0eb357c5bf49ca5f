// SPDX-License-Identifier: Apache-2.0
// Follows the runs that went over a budget until they are quiet again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "agent/core/events.h"
#include "agent/probe/event_decoder.h"

namespace assay::agent {

/// Pure; not thread-safe. Follows at most kMaxFollowed runs; of one more only its beginning is
/// told.
class NoiseWatch {
 public:
  static constexpr std::size_t kMaxFollowed = 1024;

  explicit NoiseWatch(std::chrono::milliseconds quiet_after) : quiet_after_(quiet_after) {}

  /// A record of the programs. Gives what is to be told: the beginning, once.
  std::optional<RunNoise> on_seen(const NoiseSeen& seen);

  /// What a budget has held back so far; nothing: the run has ended.
  using ReadDropped = std::function<std::optional<std::uint64_t>(const RunKey&, Budget)>;
  /// About once a second. Gives what is to be told: that it goes on (when it doubled, or once a
  /// minute), or that it is over.
  std::vector<RunNoise> watch(BootTime now, const ReadDropped& read_dropped);

 private:
  struct Followed {
    RunNoise noise;
    std::uint64_t told = 0;
    BootTime told_at{};
  };
  std::optional<RunNoise> news_of(Followed& followed, BootTime now) const;

  const std::chrono::milliseconds quiet_after_;
  std::map<std::pair<RunKey, Budget>, Followed> followed_;
};

}  // namespace assay::agent
