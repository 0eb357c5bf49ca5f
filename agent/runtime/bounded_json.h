// SPDX-License-Identifier: Apache-2.0
// Foreign JSON files with limits: never throws, never follows a link out of its folder. Private to
// agent/runtime.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"

namespace assay::agent {

/// The folder, O_PATH; empty when it is not there.
UniqueFd open_folder(const std::string& path);
UniqueFd open_folder_beneath(int folder, const std::string& path);

/// At most 1 MiB of a regular file below `folder`, no links, no other file system's magic.
std::optional<std::string> read_beneath(int folder, const std::string& path);

/// An object or array; nothing when it is not JSON, not UTF-8 or nested deeper than 64.
std::optional<nlohmann::json> parse_bounded_json(std::string_view text);

/// The string at `key` of an object, at most `max_bytes` of it; "" when it is no string.
std::string text_at(const nlohmann::json& object, const char* key, std::size_t max_bytes = 512);
/// The member at `key`, or null.
const nlohmann::json& member(const nlohmann::json& object, const char* key);

}  // namespace assay::agent
