// SPDX-License-Identifier: Apache-2.0
#include "common/catalog/json_reader.h"

#include "common/base/encoding.h"

namespace assay::catalog {

using nlohmann::json;

JsonReader::JsonReader(const json& object, std::string where, std::optional<Error>& fault)
    : object_(object), where_(std::move(where)), fault_(fault) {
  if (!object_.is_object() && !fault_)
    fault_ = Error{ErrorCode::kCorrupt, where_ + " is not a JSON object"};
}

const json* JsonReader::member(const char* name, bool is_required) {
  if (!is_good()) return nullptr;
  taken_.insert(name);
  const auto found = object_.find(name);
  if (found != object_.end()) return &*found;
  if (is_required) fail(name, "is missing");
  return nullptr;
}

std::string JsonReader::text(const char* name, bool is_required, std::size_t max_bytes) {
  const json* found = member(name, is_required);
  if (found == nullptr) return "";
  if (!found->is_string()) {
    fail(name, "is not text");
    return "";
  }
  const auto& value = found->get_ref<const std::string&>();
  if (value.size() > max_bytes) {
    fail(name, "is longer than " + std::to_string(max_bytes) + " bytes", ErrorCode::kLimitExceeded);
    return "";
  }
  if (is_required && value.empty()) fail(name, "is empty");
  return value;
}

std::uint64_t JsonReader::number(const char* name, bool is_required, std::uint64_t max) {
  const json* found = member(name, is_required);
  if (found == nullptr) return 0;
  if (found->is_number_unsigned() && found->get<std::uint64_t>() <= max)
    return found->get<std::uint64_t>();
  fail(name, "is not a number from 0 to " + std::to_string(max));
  return 0;
}

std::optional<WallTime> JsonReader::time(const char* name, bool is_required) {
  const std::string spelled = text(name, is_required, 64);
  if (spelled.empty()) return std::nullopt;
  auto parsed = parse_rfc3339(spelled);
  if (parsed) return *parsed;
  fail(name, "is not a time like 2026-11-22T16:00:00Z");
  return std::nullopt;
}

const json& JsonReader::array(const char* name, bool is_required, std::size_t max_items) {
  static const json empty = json::array();
  const json* found = member(name, is_required);
  if (found == nullptr) return empty;
  if (!found->is_array()) {
    fail(name, "is not an array");
    return empty;
  }
  if (found->size() > max_items) {
    fail(name, "has more than " + std::to_string(max_items) + " items", ErrorCode::kLimitExceeded);
    return empty;
  }
  return *found;
}

void JsonReader::expect_no_more() {
  if (!is_good()) return;
  for (const auto& item : object_.items())
    if (!taken_.contains(item.key())) {
      fail(escape_untrusted(item.key(), 64), "is not a member that this version knows");
      return;
    }
}

void JsonReader::fail(std::string_view name, std::string_view what, ErrorCode code) {
  if (fault_) return;
  fault_ = Error{code, where_ + ": \"" + std::string(name) + "\" " + std::string(what)};
}

}  // namespace assay::catalog
