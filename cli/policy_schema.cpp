// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_schema.h"

#include <algorithm>

#include "cli/policy_file.h"
#include "common/catalog/log.h"

namespace assay::cli {
namespace {

constexpr const char* kDuration = "^(0|([0-9]+(s|m|h|d))+)$";
constexpr std::uint64_t kMostOfBase = catalog::kMaxSelectorBytes;
constexpr const char* kUntil =
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]+)?Z)?$";
constexpr const char* kBase = "^[a-z0-9._-]+(/[a-z0-9._-]+)*(:[a-z0-9._-]+)?$";

Value texts(const std::vector<std::string>& words) {
  return Array(words.begin(), words.end());
}

Value integer(std::int64_t lowest, std::int64_t highest) {
  return Object{{"type", "integer"}, {"minimum", lowest}, {"maximum", highest}};
}

Object with_pattern(Object schema, const char* pattern) {
  schema.emplace_back("pattern", pattern);
  return schema;
}

/// What one key of the table may hold.
Object schema_of(const config::Key& key) {
  Object schema{{"description", key.spec.text},
                {"default", config::to_text(key.type, key.default_value)}};
  const auto say = [&](const char* name, Value value) {
    schema.emplace_back(name, std::move(value));
  };
  switch (key.type) {
    case config::Type::kInteger: {
      schema.back().second = std::get<std::int64_t>(key.default_value);
      const Value limits = integer(key.lowest, key.highest);
      for (const auto& [name, value] : std::get<Object>(limits.storage()))
        schema.emplace_back(name, value);
      break;
    }
    case config::Type::kBoolean:
      schema.back().second = std::get<bool>(key.default_value);
      say("type", "boolean");
      break;
    case config::Type::kDuration:
      // YAML reads a bare 0 as a number.
      say("anyOf", Array{Object{{"type", "string"}, {"pattern", kDuration}},
                         Object{{"const", std::int64_t{0}}}});
      break;
    case config::Type::kList: {
      schema.back().second = texts(std::get<std::vector<std::string>>(key.default_value));
      say("type", "array");
      const bool is_any = key.spec.values.empty();  // the lists without set words name bases
      say("items", is_any ? with_pattern({{"type", "string"}, {"maxLength", kMostOfBase}}, kBase)
                          : Object{{"enum", texts(key.spec.values)}});
      say("maxItems", is_any ? std::uint64_t{catalog::kMaxSandboxBases}
                             : std::uint64_t{key.spec.values.size()});
      say("uniqueItems", true);
      break;
    }
    default:
      say("enum", texts(key.spec.values));
      break;
  }
  return schema;
}

Object closed(Object properties, const std::string& text = "") {
  Object object{{"type", "object"}, {"additionalProperties", false}};
  if (!text.empty()) object.insert(object.begin(), {"description", text});
  object.emplace_back("properties", std::move(properties));
  return object;
}

Object limited_text(const std::string& text, std::size_t longest) {
  return {{"description", text},
          {"type", "string"},
          {"minLength", std::int64_t{1}},
          {"maxLength", std::uint64_t{longest}}};
}

Object labels_schema() {
  return {
      {"description", "labels of the container, all of them"},
      {"type", "object"},
      {"maxProperties", std::uint64_t{catalog::kMaxExemptionLabels}},
      {"propertyNames", Object{{"maxLength", std::uint64_t{catalog::kMaxSelectorBytes}}}},
      {"additionalProperties", Object{{"type", texts({"string", "number", "boolean"})},
                                      {"maxLength", std::uint64_t{catalog::kMaxSelectorBytes}}}}};
}

/// One of these must narrow an exemption down: "*" alone is everything.
Array selector_choices(const std::vector<std::string>& selectors) {
  Array choices;
  for (const std::string& name : selectors)
    choices.push_back(
        Object{{"required", texts({name})},
               {"properties", Object{{name, Object{{"not", Object{{"const", "*"}}}}}}}});
  choices.push_back(
      Object{{"required", texts({"labels"})},
             {"properties", Object{{"labels", Object{{"minProperties", std::int64_t{1}}}}}}});
  return choices;
}

Object exemption_schema() {
  const std::size_t most = catalog::kMaxSelectorBytes;
  Object entry = closed(
      {{"base", with_pattern(limited_text("NAME (all versions) or NAME:VERSION", most), kBase)},
       {"namespace", limited_text("of the pod", most)},
       {"workload", limited_text("deployment, stateful or daemon set, job, PROJECT/SERVICE", most)},
       {"labels", labels_schema()},
       {"container", limited_text("its name; a * at the end: any ending", most)},
       {"image", limited_text("by name; without a tag any; a * at the end: any ending", most)},
       {"owner", limited_text("who answers for it", most)},
       {"reason", limited_text("why, for people", catalog::kMaxTextBytes)},
       {"until",
        with_pattern(limited_text("a date or a time in UTC; its first moment", most), kUntil)}});
  entry.emplace_back("required", texts({"base", "owner", "reason", "until"}));
  entry.emplace_back("anyOf", selector_choices({"namespace", "workload", "container", "image"}));
  return entry;
}

}  // namespace

Value policy_schema() {
  Object properties;
  for (const config::Key& key : policy_table().keys()) {
    const std::size_t dot = key.name.find('.');
    if (dot == std::string::npos) {
      properties.emplace_back(key.name, schema_of(key));
      continue;
    }
    const std::string section = key.name.substr(0, dot);
    auto found = std::ranges::find(properties, section, &Object::value_type::first);
    if (found == properties.end())
      found = properties.insert(properties.end(), {section, closed({})});
    Object object = std::get<Object>(found->second.storage());
    Object members = std::get<Object>(object.back().second.storage());
    members.emplace_back(key.name.substr(dot + 1), schema_of(key));
    object.back().second = std::move(members);
    found->second = std::move(object);
  }
  properties.emplace_back("exemptions",
                          Object{{"description", "who may stay on a bad base for a while"},
                                 {"type", "array"},
                                 {"maxItems", std::uint64_t{catalog::kMaxExemptions}},
                                 {"items", exemption_schema()}});
  Object schema = closed(std::move(properties));
  schema.insert(schema.begin(), {{"$schema", "http://json-schema.org/draft-07/schema#"},
                                 {"title", "Assay policy"}});
  return schema;
}

}  // namespace assay::cli
