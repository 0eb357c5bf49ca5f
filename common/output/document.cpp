// SPDX-License-Identifier: Apache-2.0
#include "common/output/document.h"

#include <algorithm>
#include <charconv>

namespace assay::output {

const Value* Value::find(std::string_view path) const {
  if (path.empty()) return this;
  const std::size_t dot = path.find('.');
  const std::string_view name = path.substr(0, dot);
  const std::string_view rest = dot == std::string_view::npos ? "" : path.substr(dot + 1);
  if (const Array* items = array()) {
    std::size_t index = 0;
    const auto parsed = std::from_chars(name.data(), name.data() + name.size(), index);
    if (parsed.ec != std::errc() || index >= items->size()) return nullptr;
    return (*items)[index].find(rest);
  }
  const auto* object = std::get_if<Object>(&storage_);
  if (object == nullptr) return nullptr;
  const auto member = std::find_if(object->begin(), object->end(),
                                   [&](const auto& entry) { return entry.first == name; });
  if (member == object->end()) return nullptr;
  return member->second.find(rest);
}

}  // namespace assay::output
