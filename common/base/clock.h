// SPDX-License-Identifier: Apache-2.0
// Time as a dependency: code asks the Clock it was given, never the system.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/result.h"

namespace assay {

/// Wall-clock time, UTC, nanoseconds since 1970.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;
/// Time since boot including suspend (CLOCK_BOOTTIME), the clock that the probe stamps events with.
using BootTime = std::chrono::nanoseconds;

/// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall_now() const = 0;
  virtual BootTime boot_now() const = 0;
};

class SystemClock final : public Clock {
 public:
  WallTime wall_now() const override;
  BootTime boot_now() const override;
};

/// RFC 3339 in UTC with `digits` fractional digits (0, 3, 6 or 9), e.g. "2026-11-22T16:00:43.120Z".
std::string to_rfc3339(WallTime time, int digits = 3);
/// RFC 3339 in UTC ("Z"), with or without a fraction, of the years 1678 to 2261 (what 64 bits of
/// nanoseconds hold). Errors: kInvalidArgument.
Result<WallTime> parse_rfc3339(std::string_view text);

/// Nanoseconds since 1970, for the wire and for SQL, and back.
inline std::int64_t to_unix_ns(WallTime time) {
  return time.time_since_epoch().count();
}
inline WallTime from_unix_ns(std::int64_t ns) {
  return WallTime(std::chrono::nanoseconds(ns));
}

}  // namespace assay
