// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <CLI/CLI.hpp>
#include <map>

namespace assay::cli {

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& text,
                      Invocation& invocation, Command command, Pictures pictures) {
  CLI::App* app = parent.add_subcommand(name, text);
  app->fallthrough();
  static const std::map<std::string, Format> formats{
      {"table", Format::kTable}, {"wide", Format::kWide}, {"json", Format::kJson}};
  static const std::map<std::string, Format> all{{"table", Format::kTable},
                                                 {"wide", Format::kWide},
                                                 {"json", Format::kJson},
                                                 {"svg", Format::kSvg}};
  const bool can_draw = pictures == Pictures::kYes;
  app->add_option("-o,--output", invocation.format,
                  can_draw ? "table, wide, json or svg" : "table, wide or json")
      ->transform(CLI::CheckedTransformer(can_draw ? all : formats).description(""))
      ->option_text("FORMAT")
      ->group("Output");
  app->add_flag_callback(
         "--no-headers", [&invocation] { invocation.has_headers = false; },
         "leave the line of column names out")
      ->group("Output");
  app->final_callback(
      [&invocation, command = std::move(command)] { invocation.command = command; });
  return *app;
}

}  // namespace assay::cli
