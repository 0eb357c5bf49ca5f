// SPDX-License-Identifier: Apache-2.0
// The commands and options of a program as it declares them, for what is generated of them.
#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace assay::manual {

struct Option {
  std::vector<std::string> names;  ///< with their dashes; the word itself for a positional one
  std::string value;               ///< how its value is called; "" for a switch
  std::string text;
  std::vector<std::string> choices;  ///< of its value, where the text lists words
  bool is_positional = false;

  bool operator==(const Option&) const = default;
};

struct Spot {
  std::string path;  ///< " base list": each word after a blank; "" for the program
  std::string text;
  std::vector<std::pair<std::string, std::string>> commands;  ///< name and text
  std::vector<Option> options;                                ///< its own
  std::vector<Option> inherited;                              ///< of those above that it takes, too
};

/// The program first, then all commands, each before those below it; hidden ones are left out.
std::vector<Spot> command_tree(const CLI::App& app);

}  // namespace assay::manual
