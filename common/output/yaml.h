// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/output/document.h"

namespace assay::output {

/// The values that to_json() prints, as YAML in blocks; texts are quoted and ASCII as there.
std::string to_yaml(const Document& document);

}  // namespace assay::output
