// SPDX-License-Identifier: Apache-2.0
#include "common/output/json.h"

#include <nlohmann/json.hpp>

#include "common/base/encoding.h"

namespace assay::output {
namespace {

using Json = nlohmann::ordered_json;

bool is_utf8(const std::string& text) {
  try {
    static_cast<void>(Json(text).dump());
    return true;
  } catch (const Json::exception&) {
    return false;
  }
}

struct ToJson {
  Json operator()(std::monostate) const { return nullptr; }
  Json operator()(bool value) const { return value; }
  Json operator()(std::int64_t value) const { return value; }
  Json operator()(std::uint64_t value) const { return value; }
  Json operator()(const std::string& value) const {
    return is_utf8(value) ? value : escape_untrusted(value, value.size() * 4);
  }
  Json operator()(WallTime value) const { return to_rfc3339(value); }
  Json operator()(const DigestBytes& value) const { return "sha256:" + digest_hex(value); }
  Json operator()(const Array& values) const {
    Json out = Json::array();
    for (const Value& value : values)
      out.push_back(std::visit(*this, value.storage()));
    return out;
  }
  Json operator()(const Object& members) const {
    Json out = Json::object();
    for (const auto& [name, value] : members)
      out[name] = std::visit(*this, value.storage());
    return out;
  }
};

}  // namespace

std::string to_json(const Document& document) {
  return std::visit(ToJson{}, document.value.storage()).dump(2, ' ', true) + "\n";
}

}  // namespace assay::output
