// SPDX-License-Identifier: Apache-2.0
// The configuration for people: effective values as YAML, and the reference table.
#include <algorithm>

#include "common/base/encoding.h"
#include "common/config/load.h"

namespace assay::config {
namespace {

constexpr std::string_view kPlainCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";

/// A YAML scalar: plain where that is safe, else double-quoted.
std::string scalar(const std::string& text) {
  const bool is_plain = !text.empty() && text[0] != '-' && text[0] != '.' &&
                        text.find_first_not_of(kPlainCharacters) == std::string::npos;
  if (is_plain) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      quoted += "\\x" + to_hex({&c, 1});
    else
      quoted += c;
  }
  return quoted + "\"";
}

std::string yaml_value(const Key& key, const Value& value) {
  const auto* items = std::get_if<std::vector<std::string>>(&value);
  if (items == nullptr) return scalar(to_text(key.type, value));
  std::string text = "[";
  for (const std::string& item : *items)
    text += (text.size() > 1 ? ", " : "") + scalar(item);
  return text + "]";
}

std::string table_cell(const std::string& text) {
  std::string cell;
  for (const char c : text)
    cell += c == '|' ? std::string("\\|") : std::string(1, c);
  return cell;
}

}  // namespace

std::string effective_yaml(const std::vector<Key>& keys,
                           const std::vector<EffectiveValue>& values) {
  ASSAY_ASSERT(keys.size() == values.size());
  std::string out;
  for (std::size_t i = 0; i < keys.size(); ++i)
    out += keys[i].name + ": " + yaml_value(keys[i], values[i].value) + "  # " +
           escape_untrusted(values[i].origin) + "\n";
  return out;
}

std::string reference_markdown(const std::vector<Key>& keys, std::string_view environment_prefix) {
  const bool can_reload =
      std::any_of(keys.begin(), keys.end(), [](const Key& key) { return key.spec.is_live; });
  const std::string reload = can_reload ? " on reload |" : "";
  const bool is_file_only = environment_prefix.empty();
  std::string out = "| key | type | default | allowed |" + reload +
                    (is_file_only ? "" : " flag | variable |") +
                    " what it sets |\n| --- | --- | --- | --- |" + (can_reload ? " --- |" : "") +
                    (is_file_only ? "" : " --- | --- |") + " --- |\n";
  for (const Key& key : keys) {
    const std::string fallback = to_text(key.type, key.default_value);
    const std::string shown =
        key.spec.is_required ? "required" : (fallback.empty() ? "" : "`" + fallback + "`");
    out += "| `" + key.name + "` | " + std::string(to_string(key.type)) +
           (key.spec.unit.empty() ? "" : " (" + key.spec.unit + ")") + " | " + table_cell(shown) +
           " | " + table_cell(key.range()) + " | ";
    if (can_reload) out += key.spec.is_live ? "taken over | " : "restart | ";
    if (!is_file_only)
      out += "`" + key.flag() + "` | `" + key.variable(environment_prefix) + "` | ";
    out += table_cell(key.spec.text) + " |\n";
  }
  return out;
}

}  // namespace assay::config
