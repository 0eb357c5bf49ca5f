// SPDX-License-Identifier: Apache-2.0
// The admin token that `assay-collector init` makes before there is a store: the token itself in a
// file for the person, its hash in one for the collector, which takes it in at its start.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "collector/core/token.h"
#include "common/base/clock.h"

namespace assay::collector {

inline constexpr const char* kFirstTokenFile = "first-token";

/// Writes the token to `token_file` (mode 0600) and its hash to `hash_file`; it lives 90 days.
Result<void> write_first_token(const std::string& token_file, const std::string& hash_file,
                               WallTime now);

/// What write_first_token() left in `hash_file`; nothing when there is none. It ends `max_lifetime`
/// after it was made at the latest.
/// Errors: kUntrusted (somebody else could have written it; says how to mend it), kCorrupt.
Result<std::optional<TokenRow>> read_first_token(const std::string& hash_file,
                                                 std::chrono::nanoseconds max_lifetime);

Result<void> remove_first_token(const std::string& hash_file);

}  // namespace assay::collector
