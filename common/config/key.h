// SPDX-License-Identifier: Apache-2.0
// One key of a program's configuration: what it is called, what it may hold, what it is for.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/result.h"

namespace assay::config {

enum class Type { kText, kPath, kInteger, kBoolean, kDuration, kSize, kList };
std::string_view to_string(Type type);

/// Text, paths: string. Integers, sizes in bytes, durations in nanoseconds: int64.
using Value = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;

/// What a program says of a key besides its name, type and place.
struct Spec {
  std::string text = {};  ///< one line for people, without a full stop
  std::string unit = {};  ///< of an integer, for people
  std::string min = {};   ///< in the type's own notation ("1", "5s", "64MiB"), "" for none
  std::string max = {};   ///< likewise
  std::vector<std::string> values =
      {};                    ///< the only allowed ones (text, items of a list), empty for any
  bool is_required = false;  ///< no usable default: some source must give it
  bool is_live = false;      ///< a running program takes a new value over when it reloads
};

struct Key {
  std::string name;  ///< dotted path in the file, e.g. "collector.address"
  Type type = Type::kText;
  Spec spec;
  Value default_value;
  std::int64_t lowest = 0;   ///< numbers only, inclusive
  std::int64_t highest = 0;  ///< numbers only, inclusive
  std::int64_t step = 1;     ///< the value must be a multiple: what the program's field can hold

  std::string flag() const;                             ///< "--collector-address"
  std::string variable(std::string_view prefix) const;  ///< prefix and "COLLECTOR_ADDRESS"
  std::string range() const;                            ///< "1s to 5m", "a or b", "" for any
};

/// The value of `key` that `items` spell: one item, or any number for a list.
/// Errors: kInvalidArgument, saying what would be right.
Result<Value> parse_value(const Key& key, const std::vector<std::string>& items);
/// The notation that parse_value reads, e.g. "1m", "64MiB"; the items of a list joined by ",".
std::string to_text(Type type, const Value& value);

/// "250ms", "5s", "1m", "1h30m", "2d" in nanoseconds. Errors: kInvalidArgument.
Result<std::int64_t> parse_duration(std::string_view text);
/// "4096", "64KiB", "64MiB", "1GiB", "1TiB" in bytes. Errors: kInvalidArgument.
Result<std::int64_t> parse_size(std::string_view text);

/// The one of `known` that `word` most likely was meant to be, "" when none is near.
std::string closest(std::string_view word, const std::vector<std::string>& known);

}  // namespace assay::config
