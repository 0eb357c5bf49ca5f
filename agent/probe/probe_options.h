// SPDX-License-Identifier: Apache-2.0
// Settings of the probe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace assay::agent {

class ProbeTap;

struct ProbeOptions {
  /// Bytes of the ring buffers, rounded up to a power of two of whole pages. A start with three
  /// layers takes 4 KiB, one with 500 layers 145 KiB.
  std::uint32_t start_ring_bytes = 1U << 20U;
  std::uint32_t exec_ring_bytes = 512U << 10U;
  /// Records of execs that one run may send in a second; the rest is held back and counted.
  std::uint32_t exec_budget_per_second = 200;
  /// Further starts in one cgroup that may wait in the ring buffer in any case; beyond it they are
  /// sent while the ring buffer is not half full.
  std::uint32_t start_budget = 50;
  /// Entries of the maps; what does not fit is told more often instead.
  std::uint32_t max_runs = 16'384;
  std::uint32_t max_marks = 32'768;
  /// How long a run must keep to its budgets to be quiet again.
  std::chrono::milliseconds quiet_after{60'000};
  /// Gaps are told at most this often; what comes between is joined.
  std::chrono::milliseconds min_gap_pause{10'000};
  /// Folder on bpffs for pins, so that the programs outlive a killed agent; "" for none.
  std::string pin_folder;
  /// A clean stop leaves the pins, as a kill does: for an agent that is about to be replaced.
  bool keeps_pins = false;
  /// Gets a copy of all that is read; may be null; outlives the source.
  ProbeTap* tap = nullptr;
  std::chrono::milliseconds sweep_interval{60'000};
  std::chrono::milliseconds min_sweep_gap{50};
  /// How old a task must be that executed nothing on its root before a sweep reports that root:
  /// until then it may be a runtime's init, about to execute the container's first program.
  std::chrono::milliseconds never_executed_age{30'000};
  /// What the canary executes, with one more argument (a token) behind these. It should end at
  /// once.
  std::vector<std::string> canary_command{"/bin/true"};
  std::chrono::milliseconds canary_timeout{5'000};
};

}  // namespace assay::agent
