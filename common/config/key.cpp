// SPDX-License-Identifier: Apache-2.0
#include "common/config/key.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "common/base/encoding.h"
#include "common/config/table.h"

namespace assay::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
constexpr std::array kDurationUnits{Unit{"d", 86'400'000'000'000},
                                    Unit{"h", 3'600'000'000'000},
                                    Unit{"m", 60'000'000'000},
                                    Unit{"s", 1'000'000'000},
                                    Unit{"ms", 1'000'000},
                                    Unit{"us", 1'000},
                                    Unit{"ns", 1}};
constexpr std::array kSizeUnits{Unit{"TiB", 1LL << 40}, Unit{"GiB", 1LL << 30},
                                Unit{"MiB", 1LL << 20}, Unit{"KiB", 1LL << 10}, Unit{"B", 1}};

Error wrong(std::string message) {
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string quoted(std::string_view text) {
  return "\"" + escape_untrusted(text, 120) + "\"";
}

/// Reads digits at the start of `text` and removes them; false when there are none or too many.
bool take_number(std::string_view& text, std::int64_t& number) {
  if (text.empty() || text[0] < '0' || text[0] > '9') return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

template <std::size_t N>
const Unit* find_unit(const std::array<Unit, N>& units, std::string_view name) {
  const auto found =
      std::find_if(units.begin(), units.end(), [&](const Unit& unit) { return unit.name == name; });
  return found == units.end() ? nullptr : &*found;
}

/// The number in the largest unit that divides it.
template <std::size_t N>
std::string in_units(const std::array<Unit, N>& units, std::int64_t number) {
  for (const Unit& unit : units)
    if (number != 0 && number % unit.factor == 0)
      return std::to_string(number / unit.factor) + std::string(unit.name);
  return "0" + std::string(units.back().name);
}

std::string number_text(Type type, std::int64_t number) {
  if (type == Type::kDuration) return number == 0 ? "0s" : in_units(kDurationUnits, number);
  if (type == Type::kSize) return in_units(kSizeUnits, number);
  return std::to_string(number);
}

Result<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error != std::errc() || rest != end) return wrong(quoted(text) + " is not a whole number");
  return number;
}

Result<std::int64_t> parse_number(Type type, std::string_view text) {
  if (type == Type::kDuration) return parse_duration(text);
  if (type == Type::kSize) return parse_size(text);
  return parse_integer(text);
}

std::string joined(const std::vector<std::string>& items, std::string_view separator) {
  std::string text;
  for (const std::string& item : items) {
    if (!text.empty()) text += separator;
    text += item;
  }
  return text;
}

Result<void> check_allowed(const Key& key, const std::string& item) {
  const auto& values = key.spec.values;
  if (values.empty() || std::find(values.begin(), values.end(), item) != values.end()) return ok();
  const std::string near = closest(item, values);
  return wrong(quoted(item) + " is not one of " + joined(values, ", ") +
               (near.empty() ? "" : "; did you mean " + near + "?"));
}

Result<Value> parse_number_value(const Key& key, const std::string& text) {
  ASSAY_ASSIGN(const std::int64_t number, parse_number(key.type, text));
  if (number < key.lowest || number > key.highest)
    return wrong(quoted(text) + " is out of range: " + key.range());
  if (number % key.step != 0)
    return wrong(quoted(text) + " must be a multiple of " + number_text(key.type, key.step));
  return Value{number};
}

Result<Value> parse_text_value(const Key& key, const std::string& text) {
  if (text.find('\0') != std::string::npos) return wrong("must not contain a NUL byte");
  if (text.empty() && key.spec.is_required) return wrong("must not be empty");
  ASSAY_TRY(check_allowed(key, text));
  return Value{text};
}

bool is_number(Type type) {
  return type == Type::kInteger || type == Type::kDuration || type == Type::kSize;
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::kText:
      return "text";
    case Type::kPath:
      return "path";
    case Type::kInteger:
      return "integer";
    case Type::kBoolean:
      return "boolean";
    case Type::kDuration:
      return "duration";
    case Type::kSize:
      return "size";
    case Type::kList:
      return "list";
  }
  return "text";
}

std::string Key::flag() const {
  std::string text = "--" + name;
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '.' || c == '_'; }, '-');
  return text;
}

std::string Key::variable(std::string_view prefix) const {
  std::string text(prefix);
  for (const char c : name)
    text += c == '.' || c == '-' ? '_' : (c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c);
  return text;
}

std::string Key::range() const {
  if (!spec.values.empty()) return joined(spec.values, ", ");
  if (!is_number(type)) return "";
  const bool has_low = lowest != std::numeric_limits<std::int64_t>::min();
  const bool has_high = highest != std::numeric_limits<std::int64_t>::max();
  if (has_low && has_high) return number_text(type, lowest) + " to " + number_text(type, highest);
  if (has_low) return "at least " + number_text(type, lowest);
  if (has_high) return "at most " + number_text(type, highest);
  return "";
}

Result<Value> parse_value(const Key& key, const std::vector<std::string>& items) {
  if (key.type == Type::kList) {
    for (const std::string& item : items)
      ASSAY_TRY(check_allowed(key, item));
    if (items.empty() && key.spec.is_required) return wrong("must not be empty");
    return Value{items};
  }
  if (items.size() != 1) return wrong("needs exactly one value");
  if (is_number(key.type)) return parse_number_value(key, items[0]);
  if (key.type != Type::kBoolean) return parse_text_value(key, items[0]);
  if (items[0] != "true" && items[0] != "false")
    return wrong(quoted(items[0]) + " is neither true nor false");
  return Value{items[0] == "true"};
}

std::string to_text(Type type, const Value& value) {
  if (const auto* number = std::get_if<std::int64_t>(&value)) return number_text(type, *number);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* items = std::get_if<std::vector<std::string>>(&value)) return joined(*items, ",");
  return std::get<bool>(value) ? "true" : "false";
}

Result<std::int64_t> parse_duration(std::string_view text) {
  const Error bad = wrong(quoted(text) + " is not a duration like 250ms, 5s, 1m, 1h30m or 2d");
  std::int64_t total = 0;
  if (text.empty()) return bad;
  if (text == "0") return total;
  while (!text.empty()) {
    std::int64_t number = 0, part = 0;
    if (!take_number(text, number)) return bad;
    const std::size_t letters = std::min(text.find_first_of("0123456789"), text.size());
    const Unit* unit = find_unit(kDurationUnits, text.substr(0, letters));
    if (unit == nullptr || __builtin_mul_overflow(number, unit->factor, &part) ||
        __builtin_add_overflow(total, part, &total))
      return bad;
    text.remove_prefix(letters);
  }
  return total;
}

Result<std::int64_t> parse_size(std::string_view text) {
  const Error bad = wrong(quoted(text) + " is not a size like 4096, 64KiB, 64MiB or 1GiB");
  std::int64_t number = 0, bytes = 0;
  if (!take_number(text, number)) return bad;
  const Unit* unit = find_unit(kSizeUnits, text.empty() ? "B" : text);
  if (unit == nullptr || __builtin_mul_overflow(number, unit->factor, &bytes)) return bad;
  return bytes;
}

std::string closest(std::string_view word, const std::vector<std::string>& known) {
  if (word.size() > 128) return "";
  std::size_t best = std::max<std::size_t>(2, word.size() / 3) + 1;
  std::string found;
  for (const std::string& candidate : known) {
    std::vector<std::size_t> row(candidate.size() + 1);
    for (std::size_t j = 0; j < row.size(); ++j)
      row[j] = j;
    for (std::size_t i = 0; i < word.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i + 1);
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t swap = diagonal + (word[i] == candidate[j] ? 0 : 1);
        diagonal = std::exchange(row[j + 1], std::min({swap, row[j] + 1, row[j + 1] + 1}));
      }
    }
    if (row.back() < best) {
      best = row.back();
      found = candidate;
    }
  }
  return found;
}

Key make_key(std::string name, Type type, Spec spec, Value default_value, std::int64_t lowest,
             std::int64_t highest, std::int64_t step) {
  ASSAY_ASSERT(!name.empty() && !spec.text.empty());
  if (!spec.min.empty()) lowest = std::max(lowest, parse_number(type, spec.min).value());
  if (!spec.max.empty()) highest = std::min(highest, parse_number(type, spec.max).value());
  ASSAY_ASSERT(lowest <= highest);
  return Key{std::move(name), type, std::move(spec), std::move(default_value), lowest,
             highest,         step};
}

}  // namespace assay::config
