// SPDX-License-Identifier: Apache-2.0
#include "common/manual/man_page.h"

#include <algorithm>

namespace assay::manual {
namespace {

/// Options that this many commands have are told once.
constexpr std::ptrdiff_t kCommon = 3;

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out += c;
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

std::string shown(const Option& option) {
  std::string names;
  for (const std::string& name : option.names)
    names += (names.empty() ? "" : ", ") + ("\\fB" + escaped(name) + "\\fR");
  return names + (option.value.empty() ? "" : " \\fI" + escaped(option.value) + "\\fR");
}

std::string list_of(const std::vector<Option>& options) {
  std::string text;
  for (const Option& option : options)
    text += ".TP\n" + shown(option) + "\n" + (option.text.empty() ? "\\&" : escaped(option.text)) +
            "\n";
  return text;
}

std::vector<Option> common_options(const std::vector<Spot>& spots) {
  std::vector<Option> common;
  const auto has = [](const std::vector<Option>& list, const Option& option) {
    return std::ranges::find(list, option) != list.end();
  };
  for (const Spot& spot : spots)
    for (const Option& option : spot.options)
      if (!option.is_positional && !has(common, option) &&
          std::ranges::count_if(
              spots, [&](const Spot& other) { return has(other.options, option); }) >= kCommon)
        common.push_back(option);
  return common;
}

std::string command_text(const std::string& program, const Spot& spot,
                         const std::vector<Option>& common) {
  std::vector<Option> own;
  for (const Option& option : spot.options)
    if (std::ranges::find(common, option) == common.end()) own.push_back(option);
  return ".SS " + escaped(program + spot.path) + "\n" + escaped(spot.text) + ".\n" + list_of(own);
}

}  // namespace

std::string man_page(const ManPage& page, const std::vector<Spot>& spots) {
  std::string upper = page.program;
  std::ranges::transform(upper, upper.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  });
  const std::vector<Option> common = common_options(spots);
  std::string about = spots.front().text;
  while (about.ends_with('.'))
    about.pop_back();
  std::string text = ".\\\" Made by " + page.program + " man.\n.TH " + upper + " " +
                     std::to_string(page.section) + " " + page.date +
                     " \"Assay " ASSAY_VERSION "\" Assay\n.SH NAME\n" + escaped(page.program) +
                     " \\- " + escaped(about) + "\n.SH SYNOPSIS\n.B " + escaped(page.program) +
                     "\n.RI [ OPTIONS ] \" COMMAND \" [ ARGUMENTS ]\n.SH COMMANDS\n";
  for (const Spot& spot : spots)
    if (!spot.path.empty() && spot.commands.empty())
      text += command_text(page.program, spot, common);
  text += ".SH OPTIONS\n" + list_of(spots.front().options);
  std::vector<Option> rest;
  for (const Option& option : common)
    if (std::ranges::find(spots.front().options, option) == spots.front().options.end())
      rest.push_back(option);
  if (!rest.empty()) text += ".SS Of several commands\n" + list_of(rest);
  return text +
         ".SH EXIT STATUS\n0 done; 1 done, and the answer is no; 2 wrong call or configuration; 3 "
         "this machine lacks something; 4 refused; 5 try again later; 6 bad input; 7 not found; 70 "
         "a defect.\n.SH SEE ALSO\n.BR assay (1),\n.BR assay\\-agent (8),\n.BR assay\\-collector "
         "(8)\n";
}

}  // namespace assay::manual
