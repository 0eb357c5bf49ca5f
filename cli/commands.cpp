// SPDX-License-Identifier: Apache-2.0
#include "cli/commands.h"

#include <CLI/CLI.hpp>
#include <map>

namespace assay::cli {

CLI::App& add_command(CLI::App& parent, const std::string& name, const std::string& text,
                      Invocation& invocation, Command command, Formats formats) {
  CLI::App* app = parent.add_subcommand(name, text);
  app->fallthrough();
  std::map<std::string, Format> words{
      {"table", Format::kTable}, {"wide", Format::kWide}, {"json", Format::kJson}};
  if (formats == Formats::kWithReports)
    words.insert({{"text", Format::kTable}, {"sarif", Format::kSarif}, {"junit", Format::kJunit}});
  if (formats == Formats::kWithPicture) words.emplace("svg", Format::kSvg);
  if (formats == Formats::kWithFile) words.emplace("yaml", Format::kYaml);
  app->add_option("-o,--output", invocation.format,
                  formats == Formats::kWithReports   ? "text, wide, json, sarif or junit"
                  : formats == Formats::kWithPicture ? "table, wide, json or svg"
                  : formats == Formats::kWithFile    ? "table, wide, json or yaml"
                                                     : "table, wide or json")
      ->transform(CLI::CheckedTransformer(words).description(""))
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
