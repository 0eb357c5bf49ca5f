// SPDX-License-Identifier: Apache-2.0
#include "cli/output/document.h"

#include <algorithm>

namespace assay::cli {

const Value* Value::find(std::string_view path) const {
  if (path.empty()) return this;
  const auto* object = std::get_if<Object>(&storage_);
  if (object == nullptr) return nullptr;
  const std::size_t dot = path.find('.');
  const std::string_view name = path.substr(0, dot);
  const auto member = std::find_if(object->begin(), object->end(),
                                   [&](const auto& entry) { return entry.first == name; });
  if (member == object->end()) return nullptr;
  return member->second.find(dot == std::string_view::npos ? "" : path.substr(dot + 1));
}

}  // namespace assay::cli
