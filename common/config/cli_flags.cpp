// SPDX-License-Identifier: Apache-2.0
#include "common/config/cli_flags.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace assay::config {
namespace {

std::string help_text(const Key& key) {
  std::string text = key.spec.text;
  if (!key.spec.unit.empty()) text += " (" + key.spec.unit + ")";
  if (const std::string range = key.range(); !range.empty()) text += "; " + range;
  const std::string fallback = to_text(key.type, key.default_value);
  if (key.spec.is_required)
    text += " [required]";
  else if (!fallback.empty())
    text += " [default: " + fallback + "]";
  return text;
}

}  // namespace

void add_flags(CLI::App& app, const std::vector<Key>& keys, FlagValues& flags) {
  for (const Key& key : keys) {
    std::vector<std::string>& given = flags[key.name];  // a map's nodes stay where they are
    // A shared vector must not be emptied by a subcommand that was not given the flag, so the
    // callback appends; CLI11 calls it only for options that were given.
    CLI::Option* option = nullptr;
    if (key.type == Type::kBoolean) {
      option = app.add_flag(key.flag(), given, help_text(key));
    } else {
      option = app.add_option_function<std::vector<std::string>>(
          key.flag(), [&given](const std::vector<std::string>& texts) { given = texts; },
          help_text(key));
      option->type_name(std::string(to_string(key.type)))->expected(1);
      option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
      option->allow_extra_args(false);
    }
    option->group("Configuration");
  }
}

}  // namespace assay::config
