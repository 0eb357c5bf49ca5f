// SPDX-License-Identifier: Apache-2.0
#include "agent/app/printing.h"

#include <cstdio>

#include "common/output/json.h"
#include "common/output/table.h"
#include "common/output/yaml.h"

namespace assay::agent {
namespace {

std::string text_of(const output::Document& document, const PrintOptions& options) {
  if (options.format == "json") return output::to_json(document);
  if (options.format == "yaml") return output::to_yaml(document);
  return output::to_table(document, {.is_wide = options.format == "wide",
                                     .has_headers = options.has_headers,
                                     .has_colour = false,
                                     .now = std::chrono::system_clock::now()});
}

}  // namespace

Result<void> print_document(const output::Document& document, const PrintOptions& options) {
  const std::string text = text_of(document, options);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    return system_error("write to stdout");
  return ok();
}

}  // namespace assay::agent
