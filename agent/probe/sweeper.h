// SPDX-License-Identifier: Apache-2.0
// The sweep over all tasks that finds the runs nothing was told of.
#pragma once

#include <vector>

#include "agent/probe/event_assembler.h"
#include "agent/probe/probe_options.h"
#include "agent/probe/probe_programs.h"
#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::agent {

/// One sweep. Not thread-safe.
class Sweeper {
 public:
  Sweeper(ProbePrograms& programs, EventAssembler& assembler, const Clock& clock,
          const ProbeOptions& options)
      : programs_(programs), assembler_(assembler), clock_(clock), options_(options) {}

  /// Looks at all tasks; asks for the facts of runs that were not delivered whole, which arrive
  /// through the ring buffer of starts before this returns; tells the sink what lives. Blocks for
  /// some microseconds per task of the node. Gives the number of runs that ended before anything
  /// could be told of them, as far as only a sweep can tell. Errors: kCorrupt, kUnavailable.
  Result<std::uint64_t> sweep();

 private:
  Result<void> ask_for_facts(const std::vector<SweptRun>& wanted);
  std::uint64_t forget_dead();

  ProbePrograms& programs_;
  EventAssembler& assembler_;
  const Clock& clock_;
  const ProbeOptions& options_;
};

}  // namespace assay::agent
