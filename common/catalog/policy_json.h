// SPDX-License-Identifier: Apache-2.0
// The policy as JSON and as the fields that its digest is taken over; internal to common/catalog:
// policy_text.h shows it as text.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "common/base/result.h"
#include "common/catalog/policy.h"

namespace assay::catalog {

/// docs/formats/catalog.md, "Subject": the lowest version that covers what the policy says.
std::string policy_fields(const Policy& policy);
nlohmann::json policy_json(const Policy& policy);
Policy read_policy(const nlohmann::json& object, std::optional<Error>& fault);

}  // namespace assay::catalog
