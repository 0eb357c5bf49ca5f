// SPDX-License-Identifier: Apache-2.0
#include "common/about/os_release.h"

#include <map>
#include <string>

#include "common/about/lines.h"
#include "common/base/encoding.h"

namespace assay::about {
namespace {

constexpr std::size_t kMaxTextBytes = 256;

/// The value as a shell would read it, without running anything: "$" stands for itself.
std::string unquoted(std::string_view text) {
  std::string out;
  char quote = '\0';
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      out += text[++i];
    } else if (quote == '\0' && (c == '"' || c == '\'')) {
      quote = c;
    } else if (c == quote) {
      quote = '\0';
    } else if (quote == '\0' && (c == ' ' || c == '\t')) {
      break;
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

std::optional<catalog::Distribution> parse_os_release(std::string_view text) {
  std::map<std::string_view, std::string> values{{"ID", {}},          {"VERSION_ID", {}},
                                                 {"PRETTY_NAME", {}}, {"NAME", {}},
                                                 {"VARIANT", {}},     {"VARIANT_ID", {}}};
  each_line(text, [&](std::string_view line) {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return;
    const auto known = values.find(line.substr(0, equals));
    if (known == values.end()) return;
    known->second = to_plain_text(unquoted(line.substr(equals + 1)), kMaxTextBytes);
  });
  const auto first_of = [&](const char* name, const char* other) {
    return values.at(name).empty() ? values.at(other) : values.at(name);
  };
  catalog::Distribution found{values.at("ID"), values.at("VERSION_ID"),
                              first_of("PRETTY_NAME", "NAME"), first_of("VARIANT", "VARIANT_ID")};
  if (found.id.empty() && found.version.empty() && found.name.empty()) return std::nullopt;
  return found;
}

}  // namespace assay::about
