// SPDX-License-Identifier: Apache-2.0
// Numbered migrations of the collector's SQLite file (docs/formats/store_schema.md).
#pragma once

#include <string>
#include <vector>

namespace assay::collector {

/// migrations()[n] leads from schema version n to n + 1. Only ever append.
const std::vector<std::string>& migrations();

}  // namespace assay::collector
