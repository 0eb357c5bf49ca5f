// SPDX-License-Identifier: Apache-2.0
#include "cli/dates.h"

#include "common/base/encoding.h"
#include "common/config/key.h"

namespace assay::cli {

Result<WallTime> parse_date(const std::string& text, const std::string& what, WallTime now) {
  auto time = parse_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time) {
    const auto from_now = config::parse_duration(text);
    if (!from_now)
      return Error{
          ErrorCode::kInvalidArgument,
          what + ": \"" + escape_untrusted(text, 64) +
              "\" is neither a date (2026-12-31), a time (2026-12-31T18:00:00Z) nor a time "
              "from now (90d)"};
    time = now + std::chrono::nanoseconds(*from_now);
  }
  if (*time <= now)
    return Error{ErrorCode::kInvalidArgument,
                 what + ": " + to_rfc3339(*time, 0) + " has passed already"};
  return time;
}

Result<WallTime> parse_past_date(const std::string& text, const std::string& what, WallTime now) {
  auto time = parse_rfc3339(text.size() == 10 ? text + "T00:00:00Z" : text);
  if (!time) {
    const auto ago = config::parse_duration(text);
    if (!ago)
      return Error{
          ErrorCode::kInvalidArgument,
          what + ": \"" + escape_untrusted(text, 64) +
              "\" is neither a date (2026-12-31), a time (2026-12-31T18:00:00Z) nor a time "
              "ago (3d)"};
    time = now - std::chrono::nanoseconds(*ago);
  }
  if (*time > now)
    return Error{ErrorCode::kInvalidArgument,
                 what + ": " + to_rfc3339(*time, 0) + " is still to come"};
  return time;
}

}  // namespace assay::cli
