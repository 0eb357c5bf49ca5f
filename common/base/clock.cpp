// SPDX-License-Identifier: Apache-2.0
#include "common/base/clock.h"

#include <ctime>

#include <charconv>
#include <cstdio>

namespace assay {
namespace {

std::chrono::nanoseconds read_clock(clockid_t id) {
  timespec now{};
  ASSAY_ASSERT(clock_gettime(id, &now) == 0);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

/// Reads exactly `digits` decimal digits at `text[at]`; -1 when they are not there.
int read_number(std::string_view text, std::size_t at, std::size_t digits) {
  if (at + digits > text.size()) return -1;
  int value = 0;
  const char* first = text.data() + at;
  const auto [end, error] = std::from_chars(first, first + digits, value);
  return error == std::errc() && end == first + digits && value >= 0 ? value : -1;
}

}  // namespace

WallTime SystemClock::wall_now() const {
  return WallTime(read_clock(CLOCK_REALTIME));
}

BootTime SystemClock::boot_now() const {
  return read_clock(CLOCK_BOOTTIME);
}

std::string to_rfc3339(WallTime time, int digits) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto day = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  char buffer[64];
  std::snprintf(buffer, sizeof(buffer), "%04d-%02u-%02uT%02d:%02d:%02d", int(date.year()),
                unsigned(date.month()), unsigned(date.day()), int(clock.hours().count()),
                int(clock.minutes().count()), int(clock.seconds().count()));
  std::string text = buffer;
  if (digits > 0) {
    std::snprintf(buffer, sizeof(buffer), "%09lld",
                  static_cast<long long>((time - seconds).count()));
    text += '.';
    text.append(buffer, static_cast<std::size_t>(digits));
  }
  return text + "Z";
}

Result<WallTime> parse_rfc3339(std::string_view text) {
  const Error bad{ErrorCode::kInvalidArgument,
                  "not a time like 2026-11-22T16:00:00Z: " + std::string(text.substr(0, 64))};
  const int year = read_number(text, 0, 4), month = read_number(text, 5, 2);
  const int day = read_number(text, 8, 2), hour = read_number(text, 11, 2);
  const int minute = read_number(text, 14, 2), second = read_number(text, 17, 2);
  if (year < 0 || month < 0 || day < 0 || hour < 0 || minute < 0 || second < 0) return bad;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') || text[13] != ':' ||
      text[16] != ':' || year < 1678 || year > 2261 || hour > 23 || minute > 59 || second > 60)
    return bad;
  const std::chrono::year_month_day date(std::chrono::year(year),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok()) return bad;
  std::size_t at = 19;
  std::int64_t fraction_ns = 0;
  if (at < text.size() && text[at] == '.') {
    std::int64_t unit_ns = 100'000'000;
    std::size_t digits = 0;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, ++digits) {
      fraction_ns += unit_ns * (text[at] - '0');
      unit_ns /= 10;
    }
    if (digits == 0) return bad;
  }
  if (text.substr(at) != "Z" && text.substr(at) != "z") return bad;
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) +
         std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::nanoseconds(fraction_ns);
}

}  // namespace assay
