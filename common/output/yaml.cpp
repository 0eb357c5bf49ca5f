// SPDX-License-Identifier: Apache-2.0
#include "common/output/yaml.h"

#include <algorithm>
#include <utility>

#include "common/output/json.h"

namespace assay::output {
namespace {

/// JSON's scalars are YAML's.
std::string scalar(const Value& value) {
  std::string text = to_json({.value = value});
  text.pop_back();  // the line feed
  return text;
}

/// As people write it, where nobody can take it for something else.
std::string key(const std::string& name) {
  const bool is_plain = !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || c == '_';
  });
  return is_plain && name != "null" && name != "true" && name != "false" && name != "y" &&
                 name != "n" && name != "yes" && name != "no" && name != "on" && name != "off"
             ? name
             : scalar(Value(name));
}

class Printer {
 public:
  std::string print(const Value& value) {
    add(value, 0);
    return std::move(out_);
  }

 private:
  void add(const Value& value, std::size_t depth) {
    const auto* members = std::get_if<Object>(&value.storage());
    if (members != nullptr && !members->empty()) return add_members(*members, depth);
    if (value.array() != nullptr && !value.array()->empty())
      return add_items(*value.array(), depth);
    out_ += scalar(value) + "\n";
  }

  /// Every member begins a line, but the first one right after "- ".
  void add_members(const Object& members, std::size_t depth) {
    bool is_first = true;
    for (const auto& [name, value] : members) {
      if (!std::exchange(is_first, false)) out_.append(depth, ' ');
      out_ += key(name) + ":";
      add_below(value, depth + 2);
    }
  }

  void add_items(const Array& items, std::size_t depth) {
    bool is_first = true;
    for (const Value& item : items) {
      if (!std::exchange(is_first, false)) out_.append(depth, ' ');
      out_ += "- ";
      add(item, depth + 2);
    }
  }

  void add_below(const Value& value, std::size_t depth) {
    const auto* members = std::get_if<Object>(&value.storage());
    const bool is_block = (members != nullptr && !members->empty()) ||
                          (value.array() != nullptr && !value.array()->empty());
    out_ += is_block ? "\n" + std::string(depth, ' ') : " ";
    add(value, depth);
  }

  std::string out_;
};

}  // namespace

std::string to_yaml(const Document& document) {
  return Printer().print(document.value);
}

}  // namespace assay::output
