// SPDX-License-Identifier: Apache-2.0
// Rows of `tokens`.
#pragma once

#include <string>
#include <vector>

#include "collector/core/token.h"

namespace assay::collector {

std::vector<std::string> texts_of(const std::vector<Scope>& scopes);

}  // namespace assay::collector
