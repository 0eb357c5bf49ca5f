// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace assay::cli {

/// A date from the command line: "2026-12-31" (its first moment, UTC), RFC 3339 in UTC, or a time
/// from now such as "90d" or "12h". `what` names the option in the error. Must lie after `now`.
/// Errors: kInvalidArgument.
Result<WallTime> parse_date(const std::string& text, const std::string& what, WallTime now);

/// The same for a date that must not lie after `now`; "3d" is three days ago.
Result<WallTime> parse_past_date(const std::string& text, const std::string& what, WallTime now);

}  // namespace assay::cli
