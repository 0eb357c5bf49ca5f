// SPDX-License-Identifier: Apache-2.0
// The probe's side of a recording, played again: the same bytes through the same code.
#pragma once

#include <functional>
#include <string_view>

#include "agent/core/event_source.h"
#include "agent/probe/event_assembler.h"
#include "common/base/clock.h"

namespace assay::agent {

/// Pure; not thread-safe. Fed in the order of the recording.
class ReplaySource {
 public:
  /// `fill_command`: what /proc said of a start's process. `sink` outlives the source.
  ReplaySource(EventSink& sink, std::function<void(ContainerStart&)> fill_command,
               std::chrono::milliseconds never_executed_age);

  /// Bytes as ProbeTap saw them. Errors: kCorrupt, kUnsupported; they are passed over then.
  Result<void> on_bytes(ProbeChannel channel, BootTime time, std::string_view bytes);
  void on_sweep_began(BootTime began) { assembler_.begin_sweep(began); }
  void on_sweep_asks() { (void)assembler_.wanted(); }
  void on_sweep_completed(BootTime completed) { (void)assembler_.end_sweep(completed); }

  /// The ABI of the records that this program reads.
  static std::uint32_t abi_version();
  /// Whether records of that version are read.
  static bool reads_abi(std::uint32_t version);

 private:
  EventAssembler assembler_;
};

}  // namespace assay::agent
