// SPDX-License-Identifier: Apache-2.0
// Foreign JSON with limits: never throws. Private to agent/runtime.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace assay::agent {

/// An object or array; nothing when it is not JSON, not UTF-8 or nested deeper than 64.
std::optional<nlohmann::json> parse_bounded_json(std::string_view text);

/// The string at `key` of an object, at most `max_bytes` of it; "" when it is no string.
std::string text_at(const nlohmann::json& object, const char* key, std::size_t max_bytes = 512);
/// The member at `key`, or null.
const nlohmann::json& member(const nlohmann::json& object, const char* key);

}  // namespace assay::agent
