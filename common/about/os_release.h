// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "common/catalog/about.h"

namespace assay::about {

/// What `text`, an os-release file, says: a list of shell assignments, of which the last one of a
/// name counts. Lines that are no assignment are passed over. Nothing when it names neither ID,
/// VERSION_ID nor a name. Source: os-release(5).
std::optional<catalog::Distribution> parse_os_release(std::string_view text);

}  // namespace assay::about
