// SPDX-License-Identifier: Apache-2.0
// When the node's whole state is told to the collector, and how far the telling is.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/core/events.h"
#include "agent/core/ports.h"

namespace assay::agent {

/// One telling at a time: asked for, then a sweep has to show what runs, then the runs are handed
/// out a few at a time. Not thread-safe: the auditor's thread only.
class StateTelling {
 public:
  /// `least_interval`: between the beginnings of two tellings, whatever is asked for.
  explicit StateTelling(BootTime least_interval) : least_interval_(least_interval) {}

  /// `request`: the collector's number, 0 for a wish of our own. False: it is wanted or told
  /// already, nothing new is to be done.
  bool ask(std::uint64_t request, BootTime now);
  /// Something is wanted and nothing is being told: a sweep that begins from now on leads to it.
  bool needs_sweep(BootTime now) const;
  /// Whether a sweep that began at `began` allows to begin: it saw what ran when we were asked.
  bool may_begin(BootTime began, BootTime now) const;

  /// Begins with these runs; the number that is answered.
  std::uint64_t begin(std::vector<RunKey> runs, BootTime now);
  bool is_telling() const { return is_telling_; }
  /// The next runs to tell, at most `limit`; empty: all were handed out, call complete().
  std::vector<RunKey> next(std::size_t limit);
  void count_told() { ++told_; }
  /// Ends the telling; how many runs were told.
  std::uint64_t complete();

 private:
  const BootTime least_interval_;
  std::optional<std::uint64_t> wanted_;
  BootTime asked_{};
  std::optional<BootTime> begun_;
  std::optional<std::uint64_t> answered_;  // the last request that was begun
  bool is_telling_ = false;
  std::vector<RunKey> left_;
  std::uint64_t told_ = 0;
};

/// About what the facts of a start weigh in memory, in bytes.
std::size_t memory_of(const ContainerStart& start);

}  // namespace assay::agent
