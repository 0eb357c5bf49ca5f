// SPDX-License-Identifier: Apache-2.0
// What layers say of themselves, as agent and collector keep it between two starts. Members are
// short and left out where there is nothing to say: a row a layer.
#include <nlohmann/json.hpp>

#include "common/catalog/about.h"

namespace assay::catalog {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBytes = 4 << 20;

void put(json& object, const char* name, const std::string& text) {
  if (!text.empty()) object[name] = text;
}

std::string take(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

json to_json(const Distribution& distribution) {
  json object = json::object();
  put(object, "id", distribution.id);
  put(object, "version", distribution.version);
  put(object, "name", distribution.name);
  put(object, "variant", distribution.variant);
  return object;
}

Distribution distribution_from(const json& object) {
  return {take(object, "id"), take(object, "version"), take(object, "name"),
          take(object, "variant")};
}

json to_json(const PackageDatabase& database) {
  json object = {{"packages", database.packages}};
  put(object, "manager", database.manager);
  put(object, "format", database.format);
  put(object, "path", database.path);
  put(object, "gap", database.gap);
  return object;
}

PackageDatabase database_from(const json& object) {
  PackageDatabase database;
  database.manager = take(object, "manager");
  database.format = take(object, "format");
  database.path = take(object, "path");
  database.gap = take(object, "gap");
  const auto packages = object.find("packages");
  if (packages != object.end() && packages->is_number_unsigned())
    database.packages = packages->get<std::uint64_t>();
  return database;
}

json to_json(const AboutNode& node) {
  json object = {{"kind", std::string(1, static_cast<char>(node.kind))}};
  put(object, "target", node.target);
  put(object, "gap", node.gap);
  if (node.distribution) object["distribution"] = to_json(*node.distribution);
  if (node.database) object["database"] = to_json(*node.database);
  return object;
}

AboutNode node_from(const json& object) {
  AboutNode node;
  const std::string kind = take(object, "kind");
  node.kind = kind == "d"   ? AboutNode::Kind::kDirectory
              : kind == "f" ? AboutNode::Kind::kFile
              : kind == "l" ? AboutNode::Kind::kLink
                            : AboutNode::Kind::kOther;
  node.target = take(object, "target");
  node.gap = take(object, "gap");
  if (const auto found = object.find("distribution"); found != object.end())
    node.distribution = distribution_from(*found);
  if (const auto found = object.find("database"); found != object.end())
    node.database = database_from(*found);
  return node;
}

std::string dump(const json& object) {
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<json> parse(std::string_view text) {
  if (text.size() > kMaxBytes)
    return Error{ErrorCode::kCorrupt, "what a layer says of itself is too long"};
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object())
    return Error{ErrorCode::kCorrupt, "what a layer says of itself is no JSON object"};
  return object;
}

std::vector<std::string> texts_of(const json& object, const char* name) {
  std::vector<std::string> texts;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return texts;
  for (const json& item : *found)
    if (item.is_string()) texts.push_back(item.get<std::string>());
  return texts;
}

}  // namespace

std::string encode_about(const LayerAbout& layer) {
  if (layer == LayerAbout{}) return {};
  json object = json::object();
  for (const auto& [path, node] : layer.nodes)
    object["nodes"][path] = to_json(node);
  if (!layer.whiteouts.empty()) object["whiteouts"] = layer.whiteouts;
  if (!layer.opaques.empty()) object["opaques"] = layer.opaques;
  return dump(object);
}

Result<LayerAbout> decode_about(std::string_view text) {
  LayerAbout layer;
  if (text.empty()) return layer;
  ASSAY_ASSIGN(const json object, parse(text));
  if (const auto nodes = object.find("nodes"); nodes != object.end())
    for (const auto& item : nodes->items())
      layer.nodes.emplace(item.key(), node_from(item.value()));
  layer.whiteouts = texts_of(object, "whiteouts");
  layer.opaques = texts_of(object, "opaques");
  return layer;
}

std::string encode_about(const About& about) {
  if (about == About{}) return {};
  json object = json::object();
  if (about.distribution) object["distribution"] = to_json(*about.distribution);
  for (const PackageDatabase& database : about.databases)
    object["databases"].push_back(to_json(database));
  put(object, "gap", about.gap);
  return dump(object);
}

Result<About> decode_merged_about(std::string_view text) {
  About about;
  if (text.empty()) return about;
  ASSAY_ASSIGN(const json object, parse(text));
  if (const auto found = object.find("distribution"); found != object.end())
    about.distribution = distribution_from(*found);
  if (const auto found = object.find("databases"); found != object.end() && found->is_array())
    for (const json& item : *found)
      about.databases.push_back(database_from(item));
  about.gap = take(object, "gap");
  return about;
}

}  // namespace assay::catalog
