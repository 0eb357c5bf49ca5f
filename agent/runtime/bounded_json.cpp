// SPDX-License-Identifier: Apache-2.0
#include "agent/runtime/bounded_json.h"

namespace assay::agent {
namespace {

constexpr int kMaxDepth = 64;

}  // namespace

std::optional<nlohmann::json> parse_bounded_json(std::string_view text) {
  bool is_too_deep = false;
  const auto keep = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    is_too_deep |= depth > kMaxDepth;
    return !is_too_deep;
  };
  auto parsed = nlohmann::json::parse(text.begin(), text.end(), keep, false);
  if (is_too_deep || parsed.is_discarded() || !parsed.is_structured()) return std::nullopt;
  return parsed;
}

const nlohmann::json& member(const nlohmann::json& object, const char* key) {
  static const nlohmann::json null;
  if (!object.is_object()) return null;
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

std::string text_at(const nlohmann::json& object, const char* key, std::size_t max_bytes) {
  const nlohmann::json& value = member(object, key);
  const auto* text = value.get_ptr<const nlohmann::json::string_t*>();
  return text == nullptr ? std::string() : text->substr(0, max_bytes);
}

}  // namespace assay::agent
