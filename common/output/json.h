// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "common/output/document.h"

namespace assay::output {

/// `document`'s value as indented JSON with a final newline. Everything but ASCII is written as
/// \uXXXX, so that no foreign text reaches a terminal as it is; bytes that are not UTF-8 become
/// \xNN text.
std::string to_json(const Document& document);

}  // namespace assay::output
