// SPDX-License-Identifier: Apache-2.0
// How a subcommand prints its answer.
#pragma once

#include <string>

#include "common/base/result.h"
#include "common/output/document.h"

namespace assay::agent {

struct PrintOptions {
  std::string format = "table";  ///< or wide, json, yaml
  bool has_headers = true;
};

/// On stdout. Errors: kUnavailable.
Result<void> print_document(const output::Document& document, const PrintOptions& options);

}  // namespace assay::agent
