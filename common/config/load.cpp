// SPDX-License-Identifier: Apache-2.0
#include "common/config/load.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "common/base/encoding.h"
#include "common/base/guarded_file.h"
#include "common/config/yaml_file.h"

namespace assay::config {
namespace {

constexpr std::size_t kMaxFileBytes = 1U << 20;

std::vector<std::string> split_commas(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma != 0) items.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

/// Kubernetes sets such variables for every Service; one called assay-collector makes
/// ASSAY_COLLECTOR_SERVICE_HOST, ASSAY_COLLECTOR_PORT_8443_TCP_ADDR and more.
bool is_set_by_kubernetes(std::string_view rest) {
  return rest == "PORT" || rest.starts_with("PORT_") || rest == "SERVICE_HOST" ||
         rest.starts_with("SERVICE_PORT") || rest.ends_with("_SERVICE_HOST") ||
         rest.ends_with("_SERVICE_PORT") || rest.find("_PORT_") != std::string_view::npos;
}

class Resolver {
 public:
  Resolver(const std::vector<Key>& keys, std::string_view prefix, const Sources& sources)
      : keys_(keys), prefix_(prefix), sources_(sources) {
    for (const Key& key : keys) {
      values_.push_back({key.default_value, "default"});
      names_.push_back(key.name);
      variables_.push_back(key.variable(prefix));
      is_given_.push_back(false);
    }
  }

  Result<std::vector<EffectiveValue>> run() {
    read_file_source();
    read_environment();
    read_flags();
    for (std::size_t i = 0; i < keys_.size(); ++i)
      if (keys_[i].spec.is_required && !is_given_[i]) report_missing(keys_[i]);
    if (!problems_.empty()) return to_error(problems_);
    return std::move(values_);
  }

 private:
  void take(std::size_t index, const std::vector<std::string>& items, std::string origin) {
    is_given_[index] = true;  // even when wrong: one error for a key is enough
    auto value = parse_value(keys_[index], items);
    if (value)
      values_[index] = {std::move(*value), std::move(origin)};
    else
      problems_.push_back(origin + ": " + keys_[index].name + ": " + value.error().message);
  }

  void take_text(std::size_t index, const std::vector<std::string>& texts, std::string origin) {
    std::vector<std::string> items = texts;
    if (keys_[index].type == Type::kList) {
      items.clear();
      for (const std::string& text : texts)
        for (std::string& item : split_commas(text))
          items.push_back(std::move(item));
    }
    take(index, items, std::move(origin));
  }

  void report_missing(const Key& key) {
    problems_.push_back(key.name + " is required: set it in the file, with " +
                        key.variable(prefix_) + " or with " + key.flag());
  }

  void read_file_source() {
    if (sources_.file.empty()) return;
    auto text = read_guarded_file(sources_.file, kMaxFileBytes, Guard::kTrusted);
    if (!text) {
      if (text.error().code == ErrorCode::kNotFound && sources_.is_file_optional) return;
      problems_.push_back(text.error().text());
      return;
    }
    const YamlFile file = read_yaml(*text, sources_.file, names_, sources_.record_keys);
    problems_.insert(problems_.end(), file.problems.begin(), file.problems.end());
    for (const YamlEntry& entry : file.entries)
      take_entry(entry);
  }

  void take_entry(const YamlEntry& entry) {
    const auto found = std::find(names_.begin(), names_.end(), entry.key);
    const auto index = static_cast<std::size_t>(found - names_.begin());
    if (entry.is_sequence && keys_[index].type != Type::kList)
      problems_.push_back(entry.place + ": " + entry.key + ": one value is wanted, not a list");
    else
      take(index, entry.items, entry.place);
  }

  void read_environment() {
    for (const auto& [name, text] : sources_.environment) {
      if (!name.starts_with(prefix_)) continue;
      const auto found = std::find(variables_.begin(), variables_.end(), name);
      if (found != variables_.end())
        take_text(static_cast<std::size_t>(found - variables_.begin()), {text}, "variable " + name);
      else
        report_unknown_variable(name);
    }
  }

  void report_unknown_variable(const std::string& name) {
    const std::string_view rest = std::string_view(name).substr(prefix_.size());
    // PREFIX_CONFIG names the file itself and is read before there is a table.
    if (sources_.allows_unknown_variables || rest == "CONFIG" || is_set_by_kubernetes(rest)) return;
    const std::string near = closest(name, variables_);
    problems_.push_back("variable " + escape_untrusted(name, 120) + ": unknown" +
                        (near.empty() ? "" : "; did you mean " + near + "?"));
  }

  void read_flags() {
    for (const auto& [name, texts] : sources_.flags) {
      if (texts.empty()) continue;
      const auto found = std::find(names_.begin(), names_.end(), name);
      ASSAY_ASSERT(found != names_.end());
      const auto index = static_cast<std::size_t>(found - names_.begin());
      take_text(index, texts, "flag " + keys_[index].flag());
    }
  }

  const std::vector<Key>& keys_;
  const std::string prefix_;
  const Sources& sources_;
  std::vector<std::string> names_;
  std::vector<std::string> variables_;
  std::vector<bool> is_given_;
  std::vector<EffectiveValue> values_;
  std::vector<std::string> problems_;
};

}  // namespace

std::map<std::string, std::string> environment_with(std::string_view prefix) {
  std::map<std::string, std::string> found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || !text.starts_with(prefix)) continue;
    found.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

Result<std::vector<EffectiveValue>> resolve(const std::vector<Key>& keys,
                                            std::string_view environment_prefix,
                                            const Sources& sources) {
  return Resolver(keys, environment_prefix, sources).run();
}

Error to_error(const std::vector<std::string>& problems) {
  if (problems.size() == 1)
    return Error{ErrorCode::kInvalidArgument, "configuration: " + problems.front()};
  std::string message = "configuration has " + std::to_string(problems.size()) + " errors:";
  for (const std::string& problem : problems)
    message += "\n  " + problem;
  return Error{ErrorCode::kInvalidArgument, std::move(message)};
}

std::string in_one_line(const Error& error) {
  std::string line;
  bool is_first = true;
  const std::string whole = error.text();
  std::string_view text = whole;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, end);
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    if (!line.empty()) line += is_first ? " " : "; ";
    is_first = line.empty();
    line += part;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return line;
}

std::string join(const std::vector<std::string>& keys) {
  std::string text;
  for (const std::string& key : keys)
    text += (text.empty() ? "" : ", ") + key;
  return text.empty() ? "nothing" : text;
}

}  // namespace assay::config
