// SPDX-License-Identifier: Apache-2.0
// Plays a recording through everything behind the probe: decoder, auditor, judging, journal.
#pragma once

#include <cstdint>
#include <string>

#include "agent/core/ports.h"
#include "agent/recording/recording_reader.h"
#include "common/base/clock.h"

namespace assay::agent {

/// The recording's own time. Not thread-safe.
class ReplayClock final : public Clock {
 public:
  explicit ReplayClock(const RecordingHeader& header)
      : wall_(header.wall), boot_(header.boot), now_(header.boot) {}
  WallTime wall_now() const override { return wall_ + (now_ - boot_); }
  BootTime boot_now() const override { return now_; }
  /// Never goes back.
  void advance_to(BootTime time) {
    if (time > now_) now_ = time;
  }

 private:
  const WallTime wall_;
  const BootTime boot_;
  BootTime now_;
};

struct ReplayReport {
  std::uint64_t entries = 0;
  std::uint64_t unreadable = 0;  ///< records that this program cannot read
  std::uint64_t unanswered = 0;  ///< questions that the recording has no answer to
  std::uint64_t dropped = 0;     ///< entries that the recorder could not write
  bool is_cut = false;           ///< it ends in the middle: the recorder was killed
  std::string end_reason;        ///< why the recorder stopped, "" when it was killed
  std::string catalog_problem;   ///< why the recorded catalog is not used, "" when it is
};

/// Plays the whole recording; the journal gets the events with the clock at their time. Reads the
/// recording twice, and keeps its answers in memory.
/// Errors: kCorrupt, kLimitExceeded, kUnsupported (records of another ABI), kUnavailable.
Result<ReplayReport> replay(RecordingReader& reader, ReplayClock& clock, Journal& journal);

}  // namespace assay::agent
