// SPDX-License-Identifier: Apache-2.0
#include "common/manual/command_tree.h"

#include <CLI/CLI.hpp>
#include <cctype>

namespace assay::manual {
namespace {

/// "table, wide or json" → the three words; nothing for a text that is no such list.
std::vector<std::string> choices_in(const std::string& text) {
  if (text.find(" or ") == std::string::npos) return {};
  std::vector<std::string> words;
  std::string word;
  for (const char c : text + ",") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += c;
    } else if (c == ',' || c == ' ') {
      if (!word.empty() && word != "or") words.push_back(word);
      if (c == ' ' && !word.empty() && word != "or" &&
          text.find(word + " or ") == std::string::npos)
        return {};
      word.clear();
    } else {
      return {};
    }
  }
  return words;
}

Option to_option(const CLI::Option& declared) {
  Option option;
  option.text = declared.get_description();
  option.is_positional = !declared.nonpositional();
  if (option.is_positional) {
    option.names.push_back(declared.get_name(true));
    return option;
  }
  for (const std::string& name : declared.get_snames())
    option.names.push_back("-" + name);
  for (const std::string& name : declared.get_lnames())
    option.names.push_back("--" + name);
  if (declared.get_items_expected_max() > 0) {
    option.value = declared.get_option_text();
    if (option.value.empty()) option.value = "VALUE";
    option.choices = choices_in(option.text);
  }
  return option;
}

std::vector<Option> options_of(const CLI::App& app) {
  std::vector<Option> options;
  for (const CLI::Option* option : app.get_options())
    if (!option->get_group().empty()) options.push_back(to_option(*option));
  return options;
}

void collect(const CLI::App& app, const std::string& path, const std::vector<Option>& above,
             std::vector<Spot>& spots) {
  Spot spot{path, app.get_description(), {}, options_of(app), above};
  const auto below = app.get_subcommands([](const CLI::App* command) {
    return !command->get_group().empty() && !command->get_name().empty();
  });
  for (const CLI::App* command : below)
    spot.commands.emplace_back(command->get_name(), command->get_description());
  spots.push_back(spot);
  for (const CLI::App* command : below) {
    std::vector<Option> passed;
    if (command->get_fallthrough()) {
      passed = above;
      for (const Option& option : spot.options)
        if (!option.is_positional && option.names.back() != "--help" &&
            option.names.back() != "--version")
          passed.push_back(option);
    }
    collect(*command, path + " " + command->get_name(), passed, spots);
  }
}

}  // namespace

std::vector<Spot> command_tree(const CLI::App& app) {
  std::vector<Spot> spots;
  collect(app, "", {}, spots);
  return spots;
}

}  // namespace assay::manual
