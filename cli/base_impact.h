// SPDX-License-Identifier: Apache-2.0
// Who runs a base now, as tables: for `base impact` and before a revocation.
#pragma once

#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/output/document.h"

namespace assay::cli {

/// Whom to tell, and single runs, of the impact at `path` of the document.
std::vector<Section> impact_sections(const std::string& path);
/// "debian:12: 3 of 70 running containers on 2 nodes stand on it, in 1 namespace".
std::string impact_text(const Impact& impact);

}  // namespace assay::cli
