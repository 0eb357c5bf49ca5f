// SPDX-License-Identifier: Apache-2.0
// What one life of the agent knows of the one before: what was lost in between is told as a gap.
#pragma once

#include <optional>

#include "agent/core/ports.h"
#include "agent/outbox/outbox.h"
#include "agent/outbox/state_db.h"
#include "common/base/clock.h"
#include "common/service/log_setup.h"

namespace assay::agent {

/// Used by one thread at a time. References outlive it.
class Continuity {
 public:
  struct Ports {
    Outbox& outbox;
    StateDb& state;
    Journal& journal;
    const Clock& clock;
    service::Log& log;
  };
  explicit Continuity(Ports ports) : ports_(ports) {}

  /// Tells of databases that were damaged and of an outbox that is not the one of before. Before
  /// the outbox starts.
  void tell_lost_files();
  /// Until when an earlier agent kept what happened, on this boot's clock: what lies between is the
  /// source's to find or to tell as a gap. Nothing: there was none.
  std::optional<BootTime> absent_since() const;
  /// Writes down how far the outbox was delivered, every ten seconds.
  void on_tick();

 private:
  void tell_gap(WallTime from, const std::string& reason);

  Ports ports_;
  BootTime written_{};
};

}  // namespace assay::agent
