// SPDX-License-Identifier: Apache-2.0
// The one table of a program's configuration keys, joined to the struct that the program works
// with.
#pragma once

#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "common/config/key.h"
#include "common/config/load.h"

namespace assay::config {

/// Checks the declaration (asserts: it is ours) and fills in the limits.
/// `lowest`, `highest`, `step`: what the program's field can hold.
Key make_key(std::string name, Type type, Spec spec, Value default_value, std::int64_t lowest,
             std::int64_t highest, std::int64_t step);

namespace detail {

template <class T>
inline constexpr bool kIsDuration = false;
template <class Rep, class Period>
inline constexpr bool kIsDuration<std::chrono::duration<Rep, Period>> = true;

template <class Field>
Value to_value(const Field& field) {
  if constexpr (kIsDuration<Field>)
    return std::int64_t{std::chrono::nanoseconds(field).count()};
  else if constexpr (std::is_integral_v<Field> && !std::is_same_v<Field, bool>)
    return static_cast<std::int64_t>(field);
  else
    return field;
}

template <class Field>
void assign(Field& field, const Value& value) {
  if constexpr (kIsDuration<Field>)
    field =
        std::chrono::duration_cast<Field>(std::chrono::nanoseconds(std::get<std::int64_t>(value)));
  else if constexpr (std::is_integral_v<Field> && !std::is_same_v<Field, bool>)
    field = static_cast<Field>(std::get<std::int64_t>(value));
  else
    field = std::get<Field>(value);
}

template <class Field>
constexpr std::int64_t lowest_of() {
  if constexpr (std::is_integral_v<Field> && std::is_signed_v<Field>)
    return std::numeric_limits<Field>::min();
  return 0;  // a duration or a size below zero means nothing anywhere
}

template <class Field>
constexpr std::int64_t highest_of() {
  if constexpr (std::is_integral_v<Field> && sizeof(Field) < sizeof(std::int64_t))
    return std::numeric_limits<Field>::max();
  return std::numeric_limits<std::int64_t>::max();
}

template <class Field>
constexpr std::int64_t step_of() {
  if constexpr (kIsDuration<Field>) return std::chrono::nanoseconds(Field(1)).count();
  return 1;
}

}  // namespace detail

/// A program's configuration as it was loaded, and the same for people.
template <class C>
struct Loaded {
  C config;
  std::vector<EffectiveValue> values;  ///< in the order of Table::keys()
};

/// What a running program does with a configuration that was loaded again.
template <class C>
struct Reloaded {
  Loaded<C> loaded;                  ///< new values of live keys, old ones of all others
  std::vector<std::string> taken;    ///< live keys that changed
  std::vector<std::string> restart;  ///< keys that changed, but only take effect after a restart
};

/// The keys of a program whose settings are in the plain struct `C`. The initialisers of C's
/// members are the defaults. `access` is a member pointer, or a callable that takes C& and returns
/// a reference, for members of members. Built once, then const; thread-safe when const.
template <class C>
class Table {
 public:
  /// `environment_prefix`: e.g. "ASSAY_AGENT_"; "" for keys that only a file holds.
  explicit Table(std::string environment_prefix) : prefix_(std::move(environment_prefix)) {}

  template <class Access>
  Table& text(std::string name, Access access, Spec spec) {
    return add<std::string>(Type::kText, std::move(name), access, std::move(spec));
  }
  template <class Access>
  Table& path(std::string name, Access access, Spec spec) {
    return add<std::string>(Type::kPath, std::move(name), access, std::move(spec));
  }
  template <class Access>
  Table& boolean(std::string name, Access access, Spec spec) {
    return add<bool>(Type::kBoolean, std::move(name), access, std::move(spec));
  }
  /// Any integer member; its own range is the widest one.
  template <class Access>
  Table& integer(std::string name, Access access, Spec spec) {
    return add<Field<Access>>(Type::kInteger, std::move(name), access, std::move(spec));
  }
  /// Bytes, in any integer member.
  template <class Access>
  Table& size(std::string name, Access access, Spec spec) {
    return add<Field<Access>>(Type::kSize, std::move(name), access, std::move(spec));
  }
  /// Any std::chrono duration with an integer count.
  template <class Access>
  Table& duration(std::string name, Access access, Spec spec) {
    static_assert(detail::kIsDuration<Field<Access>>);
    return add<Field<Access>>(Type::kDuration, std::move(name), access, std::move(spec));
  }
  /// std::vector<std::string>: a sequence in the file, "a,b" in the environment, flags repeat.
  template <class Access>
  Table& list(std::string name, Access access, Spec spec) {
    return add<std::vector<std::string>>(Type::kList, std::move(name), access, std::move(spec));
  }
  /// A rule over several keys; it runs when every single value is right. It returns one line for
  /// each problem.
  Table& rule(std::function<std::vector<std::string>(const C&)> check) {
    rules_.push_back(std::move(check));
    return *this;
  }

  const std::vector<Key>& keys() const { return keys_; }
  const std::string& environment_prefix() const { return prefix_; }

  /// Errors: kInvalidArgument with every problem and its place, one per line.
  Result<Loaded<C>> load(const Sources& sources) const {
    auto values = resolve(keys_, prefix_, sources);
    if (!values) return std::move(values.error());
    Loaded<C> loaded{C{}, std::move(*values)};
    for (std::size_t i = 0; i < setters_.size(); ++i)
      setters_[i](loaded.config, loaded.values[i].value);
    std::vector<std::string> problems;
    for (const auto& check : rules_)
      for (std::string& problem : check(loaded.config))
        problems.push_back(std::move(problem));
    if (!problems.empty()) return to_error(problems);
    return loaded;
  }

  /// What of `next` a program can take over that runs with `current`.
  Reloaded<C> merge(const Loaded<C>& current, Loaded<C> next) const {
    Reloaded<C> merged{std::move(next), {}, {}};
    for (std::size_t i = 0; i < keys_.size(); ++i) {
      if (merged.loaded.values[i].value == current.values[i].value) continue;
      if (keys_[i].spec.is_live) {
        merged.taken.push_back(keys_[i].name);
        continue;
      }
      merged.restart.push_back(keys_[i].name);
      merged.loaded.values[i] = current.values[i];
      setters_[i](merged.loaded.config, current.values[i].value);
    }
    return merged;
  }

  /// What `config check` prints.
  std::string effective_yaml(const Loaded<C>& loaded) const {
    return config::effective_yaml(keys_, loaded.values);
  }
  std::string reference_markdown() const { return config::reference_markdown(keys_, prefix_); }

 private:
  template <class Access>
  using Field = std::remove_cvref_t<std::invoke_result_t<Access, C&>>;

  template <class Wanted, class Access>
  Table& add(Type type, std::string name, Access access, Spec spec) {
    static_assert(std::is_same_v<Field<Access>, Wanted>, "the member has another type");
    static_assert(std::is_lvalue_reference_v<std::invoke_result_t<Access, C&>>);
    C defaults{};
    keys_.push_back(make_key(
        std::move(name), type, std::move(spec), detail::to_value(std::invoke(access, defaults)),
        detail::lowest_of<Wanted>(), detail::highest_of<Wanted>(), detail::step_of<Wanted>()));
    setters_.push_back([access](C& config, const Value& value) {
      detail::assign(std::invoke(access, config), value);
    });
    return *this;
  }

  std::string prefix_;
  std::vector<Key> keys_;
  std::vector<std::function<void(C&, const Value&)>> setters_;
  std::vector<std::function<std::vector<std::string>(const C&)>> rules_;
};

}  // namespace assay::config
