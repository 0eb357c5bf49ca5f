// SPDX-License-Identifier: Apache-2.0
// A policy as JSON text, as it stands in a statement (docs/formats/catalog.md).
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"
#include "common/catalog/policy.h"

namespace assay::catalog {

std::string to_json_text(const Policy& policy);
/// Errors: kCorrupt, kLimitExceeded (over 1 MiB, too many exemptions).
Result<Policy> policy_from_json(std::string_view text);

}  // namespace assay::catalog
