// SPDX-License-Identifier: Apache-2.0
// Opaque page tokens, bound to the other arguments of the list (AIP-158).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "collector/core/views.h"
#include "common/base/result.h"

namespace assay::collector {

/// `arguments`: all other arguments of the request, in one string that tells them apart.
std::string make_page_token(const Cursor& cursor, std::string_view arguments);
/// Nothing for "". Errors: kInvalidArgument (not ours, or of a list with other arguments).
Result<std::optional<Cursor>> read_page_token(std::string_view token, std::string_view arguments);

inline constexpr int kDefaultPageSize = 100;
inline constexpr int kMaxPageSize = 1000;
/// 0 is the default, what is above the maximum is clamped. Errors: kInvalidArgument (negative).
Result<int> page_size_of(int requested);

}  // namespace assay::collector
