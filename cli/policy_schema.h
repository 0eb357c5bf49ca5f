// SPDX-License-Identifier: Apache-2.0
// The JSON schema of a policy file, for editors and checks before a commit.
#pragma once

#include "cli/output/document.h"

namespace assay::cli {

/// Draft 7, made of the declared keys. It refuses what read_policy_file() refuses but for what a
/// schema cannot say: dates that have passed, durations beyond their limit, keys given twice.
/// docs/formats/policy.schema.json is its copy.
/// Source: json-schema.org, draft-07.
Value policy_schema();

}  // namespace assay::cli
