// SPDX-License-Identifier: Apache-2.0
#include "common/manual/manual.h"

#include <CLI/CLI.hpp>
#include <memory>

#include "common/manual/completion.h"
#include "common/manual/man_page.h"

namespace assay::manual {

void add_manual(CLI::App& app, int section, std::string& text) {
  // Shared by the parser, which fills them, and the callbacks, which run after.
  const auto shell = std::make_shared<std::string>();
  const auto date = std::make_shared<std::string>();
  CLI::App& completion = *app.add_subcommand("completion", "Print a completion script for a shell");
  completion.add_option("SHELL", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion.final_callback([&app, &text, shell] {
    const auto spots = command_tree(app);
    const std::string program = app.get_name();
    text = *shell == "bash"  ? bash_completion(program, spots)
           : *shell == "zsh" ? zsh_completion(program, spots)
                             : fish_completion(program, spots);
  });
  CLI::App& man = *app.add_subcommand("man", "Print the manual page")->group("");
  man.add_option("--date", *date, "of the page, YYYY-MM-DD")->required();
  man.final_callback([&app, &text, section, date] {
    text = man_page({app.get_name(), section, *date}, command_tree(app));
  });
}

}  // namespace assay::manual
