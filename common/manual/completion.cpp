// SPDX-License-Identifier: Apache-2.0
#include "common/manual/completion.h"

#include <algorithm>

namespace assay::manual {
namespace {

/// A word for all three shells: in single quotes.
std::string quoted(const std::string& text, const char* quote_mark = "'\\''") {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? quote_mark : std::string(1, c);
  return out + "'";
}

std::string function_name(std::string program) {
  std::ranges::replace(program, '-', '_');
  return "_" + program;
}

std::vector<Option> all_options(const Spot& spot) {
  std::vector<Option> options;
  for (const auto& list : {spot.options, spot.inherited})
    for (const Option& option : list)
      if (!option.is_positional) options.push_back(option);
  return options;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string text;
  for (const std::string& word : words)
    text += (text.empty() ? "" : between) + word;
  return text;
}

/// The paths of all commands as patterns of a `case`.
std::string path_patterns(const std::vector<Spot>& spots) {
  std::vector<std::string> paths;
  for (const Spot& spot : spots)
    if (!spot.path.empty()) paths.push_back(quoted(spot.path));
  return joined(paths, " | ");
}

/// How a shell offers words, which stand between the first two, and how files.
struct Offer {
  const char* before_words;
  const char* after_words;
  const char* files;
};

/// A branch of `case "$at $before"` for each set of options whose value comes next. Choices are
/// letters alone.
std::string value_branches(const std::vector<Spot>& spots, const Offer& offer) {
  std::string text;
  for (const Spot& spot : spots) {
    std::vector<std::string> files;
    for (const Option& option : all_options(spot)) {
      if (option.value.empty()) continue;
      std::vector<std::string> patterns;
      for (const std::string& name : option.names)
        patterns.push_back(quoted(spot.path + " " + name));
      if (option.choices.empty())
        files.insert(files.end(), patterns.begin(), patterns.end());
      else
        text += "    " + joined(patterns, " | ") + ") " + offer.before_words +
                joined(option.choices, " ") + offer.after_words + "; return ;;\n";
    }
    if (!files.empty())
      text += "    " + joined(files, " | ") + ") " + offer.files + "; return ;;\n";
  }
  return text;
}

std::vector<std::string> names_of(const Spot& spot) {
  std::vector<std::string> names;
  for (const auto& [name, text] : spot.commands)
    names.push_back(name);
  for (const Option& option : all_options(spot))
    names.insert(names.end(), option.names.begin(), option.names.end());
  return names;
}

std::string zsh_entry(std::string name, std::string text) {
  for (std::string* part : {&name, &text})
    for (std::size_t at = 0; (at = part->find(':', at)) != std::string::npos; at += 2)
      part->insert(at, "\\");
  return quoted(name + ":" + text);
}

std::string fish_quoted(const std::string& text) {
  std::string doubled;
  for (const char c : text)
    doubled += c == '\\' ? "\\\\" : std::string(1, c);
  return quoted(doubled, "\\'");
}

std::string fish_option(const Option& option) {
  std::string text;
  for (const std::string& name : option.names)
    text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
  if (!option.value.empty()) text += option.choices.empty() ? " -r -F" : " -x -a ";
  if (!option.choices.empty()) text += fish_quoted(joined(option.choices, " "));
  return text + " -d " + fish_quoted(option.text);
}

}  // namespace

std::string bash_completion(const std::string& program, const std::vector<Spot>& spots) {
  const std::string function = function_name(program);
  std::string text = "# bash completion of " + program + ", made by `" + program +
                     " completion bash`\n" + function +
                     "() {\n  local cur=${COMP_WORDS[COMP_CWORD]} at='' names='' i\n"
                     "  COMPREPLY=()\n  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                     "    case \"$at ${COMP_WORDS[i]}\" in\n      " +
                     path_patterns(spots) +
                     ") at+=\" ${COMP_WORDS[i]}\" ;;\n    esac\n  done\n"
                     "  case \"$at ${COMP_WORDS[COMP_CWORD - 1]}\" in\n";
  text +=
      value_branches(spots, {"mapfile -t COMPREPLY < <(compgen -W '", "' -- \"$cur\")", "true"});
  text += "  esac\n  case $at in\n";
  for (const Spot& spot : spots)
    text += "    " + quoted(spot.path) + ") names=" + quoted(joined(names_of(spot), " ")) + " ;;\n";
  return text +
         "  esac\n  mapfile -t COMPREPLY < <(compgen -W \"$names\" -- \"$cur\")\n}\n"
         "complete -o default -F " +
         function + " " + program + "\n";
}

std::string zsh_completion(const std::string& program, const std::vector<Spot>& spots) {
  const std::string function = function_name(program);
  std::string text =
      "#compdef " + program + "\n# made by `" + program + " completion zsh`\n" + function +
      "() {\n  local at='' word\n  local -a names options\n"
      "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n    case \"$at $word\" in\n      " +
      path_patterns(spots) +
      ") at+=\" $word\" ;;\n    esac\n  done\n"
      "  case \"$at ${words[CURRENT-1]}\" in\n" +
      value_branches(spots, {"compadd -- ", "", "_files"});
  text += "  esac\n  case $at in\n";
  for (const Spot& spot : spots) {
    text += "    " + quoted(spot.path) + ")\n      names=(";
    for (const auto& [name, about] : spot.commands)
      text += zsh_entry(name, about) + " ";
    text += ")\n      options=(";
    for (const Option& option : all_options(spot))
      for (const std::string& name : option.names)
        text += zsh_entry(name, option.text) + " ";
    text += ") ;;\n";
  }
  return text +
         "  esac\n  if [[ $PREFIX == -* ]]; then\n    _describe -o option options\n"
         "  elif (( $#names )); then\n    _describe command names\n  else\n    _files\n  fi\n}\n" +
         "if [[ $funcstack[1] == " + function + " ]]; then " + function + " \"$@\"; else compdef " +
         function + " " + program + "; fi\n";
}

std::string fish_completion(const std::string& program, const std::vector<Spot>& spots) {
  const std::string function = "_" + function_name(program) + "_at";
  std::string paths;
  for (const Spot& spot : spots)
    if (!spot.path.empty()) paths += " " + fish_quoted(spot.path);
  std::string text = "# fish completion of " + program + ", made by `" + program +
                     " completion fish`\nfunction " + function +
                     "\n  set -l at ''\n  for word in (commandline -opc)[2..-1]\n"
                     "    if contains -- \"$at $word\"" +
                     paths + "\n      set at \"$at $word\"\n    end\n  end\n" +
                     "  test \"$at\" = \"$argv[1]\"\nend\n";
  for (const Spot& spot : spots) {
    const std::string begin =
        "complete -c " + program + " -n " + fish_quoted(function + " \"" + spot.path + "\"");
    for (const auto& [name, about] : spot.commands)
      text += begin + " -f -a " + name + " -d " + fish_quoted(about) + "\n";
    for (const Option& option : all_options(spot))
      text += begin + fish_option(option) + "\n";
  }
  return text;
}

}  // namespace assay::manual
