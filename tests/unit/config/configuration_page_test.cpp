// SPDX-License-Identifier: Apache-2.0
// docs/configuration.md against the tables of the three programs.
#include <catch2/catch.hpp>
#include <sstream>
#include <string>

#include "agent/app/config.h"
#include "cli/settings.h"
#include "collector/app/config.h"
#include "common/base/file.h"

using namespace assay;

namespace {

/// The lines of `page` that are part of a table.
std::string table_lines(const std::string& page) {
  std::istringstream lines(page);
  std::string kept;
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("|")) kept += line + "\n";
  return kept;
}

}  // namespace

TEST_CASE("docs/configuration.md shows the keys of all three programs as they are declared",
          "[config][unit]") {
  const auto page = read_file(ASSAY_DOCS "/configuration.md", 1 << 20);
  REQUIRE(page);
  // On a difference the right tables are printed by `config reference` of agent and collector.
  CHECK(table_lines(*page) == agent::config_table().reference_markdown() +
                                  collector::config_table().reference_markdown() +
                                  cli::settings_table().reference_markdown());
}
