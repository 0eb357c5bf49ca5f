// SPDX-License-Identifier: Apache-2.0
#include "cli/settings.h"

#include <catch2/catch.hpp>

#include "common/base/file.h"
#include "tests/unit/cli/program.h"

using namespace assay;
using namespace assay::cli;

TEST_CASE("docs/cli.md shows the settings as they are declared", "[cli][unit]") {
  const auto page = read_file(ASSAY_DOCS "/cli.md", 1 << 20);
  REQUIRE(page);
  CHECK_THAT(*page, Catch::Matchers::Contains(settings_table().reference_markdown()));
}

TEST_CASE("a flag wins over the file, and a file that was named must be there", "[cli][unit]") {
  const tests::Home home;
  home.write("config.yaml", "collector:\n  address: file:1\ntimeout: 3s\n");
  const auto settings =
      load_settings({{"collector.address", {"flag:1"}}}, home.path() + "/config.yaml");
  REQUIRE(settings);
  CHECK(settings->connection.address == "flag:1");
  CHECK(settings->connection.timeout == std::chrono::seconds(3));
  const auto missing = load_settings({}, home.path() + "/no-such.yaml");
  REQUIRE(!missing);
  CHECK(missing.error().code == ErrorCode::kInvalidArgument);
}
