// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace assay::tests {

/// Why this binary's tests cannot run here, e.g. "needs root"; "" when they can. A test binary that
/// needs something defines this function once; the default returns "".
std::string missing_need();

/// Says that a part of this binary's tests could not run and why ("needs umoci"). The rest runs;
/// when nothing failed the binary ends as skipped, with the reasons.
void note_missing(const std::string& what);

}  // namespace assay::tests
