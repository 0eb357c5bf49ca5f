// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <catch2/catch.hpp>

#include "common/config/cli_flags.h"
#include "common/config/table.h"

using namespace assay::config;

namespace {

struct Settings {
  std::string address = "localhost:1";
  bool is_quiet = true;
  std::vector<std::string> exempt;
  std::string command;
};

Table<Settings> make_table() {
  Table<Settings> table("ASSAY_T_");
  table.text("collector.address", &Settings::address, {.text = "where"})
      .boolean("quiet", &Settings::is_quiet, {.text = "say less"})
      .list("exempt", &Settings::exempt, {.text = "namespaces"});
  return table;
}

/// What `arguments` make of the settings, through two subcommands that share the table.
Settings parse(const std::string& arguments) {
  const auto table = make_table();
  CLI::App app;
  FlagValues flags;
  std::string positional;
  CLI::App* run = app.add_subcommand("run");
  add_flags(*run, table.keys(), flags);
  run->add_option("command", positional);
  add_flags(*app.add_subcommand("once"), table.keys(), flags);
  app.parse(arguments);
  Settings settings = table.load({.flags = flags}).value().config;
  settings.command = positional;
  return settings;
}

}  // namespace

TEST_CASE("flags of a subcommand reach the struct", "[config][unit]") {
  const Settings settings =
      parse("run --collector-address c:1 --exempt a --exempt b,c --quiet=false show");
  CHECK(settings.address == "c:1");
  CHECK(settings.exempt == std::vector<std::string>{"a", "b", "c"});
  CHECK_FALSE(settings.is_quiet);
  CHECK(settings.command == "show");
}

TEST_CASE("a flag that is not given leaves the default", "[config][unit]") {
  CHECK(parse("once").address == "localhost:1");
  CHECK(parse("once").is_quiet);
  CHECK(parse("once --quiet").is_quiet);
}

TEST_CASE("a value flag takes one value, so what follows stays positional", "[config][unit]") {
  const Settings settings = parse("run --exempt a show");
  CHECK(settings.exempt == std::vector<std::string>{"a"});
  CHECK(settings.command == "show");
}

TEST_CASE("a single value given twice is an error of the table", "[config][unit]") {
  const auto table = make_table();
  CLI::App app;
  FlagValues flags;
  add_flags(app, table.keys(), flags);
  app.parse("--collector-address a --collector-address b");
  CHECK_THAT(table.load({.flags = flags}).error().message,
             Catch::Contains("collector.address: needs exactly one value"));
}

TEST_CASE("help names the keys with their defaults", "[config][unit]") {
  const auto table = make_table();
  CLI::App app;
  FlagValues flags;
  add_flags(app, table.keys(), flags);
  CHECK_THAT(app.help(),
             Catch::Contains("--collector-address") && Catch::Contains("[default: localhost:1]"));
}
