// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace assay::tests {

/// Why this binary's tests cannot run here, e.g. "needs root"; "" when they can. A test binary that
/// needs something defines this function once; the default returns "".
std::string missing_need();

}  // namespace assay::tests
