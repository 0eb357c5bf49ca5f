// SPDX-License-Identifier: Apache-2.0
// Settings of the probe.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace assay::agent {

struct ProbeOptions {
  /// Bytes of the ring buffers, rounded up to a power of two of whole pages. A start with three
  /// layers takes 4 KiB, one with 500 layers 145 KiB.
  std::uint32_t start_ring_bytes = 1U << 20U;
  std::uint32_t exec_ring_bytes = 512U << 10U;
  /// Records of execs that one run may send in a second; the rest is counted as lost.
  std::uint32_t exec_budget_per_second = 200;
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
