// SPDX-License-Identifier: Apache-2.0
// What /proc/PID/stat says of a process.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace assay {

/// Source: proc(5), "/proc/pid/stat".
struct ProcessStat {
  std::uint32_t parent = 0;       ///< field 4; 0: none in this pid namespace
  std::uint32_t session = 0;      ///< field 6; 0: led by a process outside of this pid namespace
  std::uint32_t terminal = 0;     ///< field 7, tty_nr as the kernel encodes it; 0: none
  std::uint64_t start_ticks = 0;  ///< field 22, clock ticks since boot

  /// The start on CLOCK_BOOTTIME, cut to whole ticks.
  std::chrono::nanoseconds started() const;
  /// Whether `start` (CLOCK_BOOTTIME) is the same time, as both are cut to whole ticks somewhere.
  bool has_started_at(std::chrono::nanoseconds start) const;
  bool operator==(const ProcessStat&) const = default;
};

/// Nothing when `text` is no such file. The program's name in it may hold any bytes.
std::optional<ProcessStat> parse_process_stat(std::string_view text);

}  // namespace assay
