// SPDX-License-Identifier: Apache-2.0
// Enumerators and their words in one table; internal to common/catalog.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/encoding.h"
#include "common/base/result.h"

namespace assay::catalog {

template <typename Enum, std::size_t N>
using Names = std::array<std::pair<Enum, std::string_view>, N>;

template <typename Enum, std::size_t N>
std::string_view name_of(const Names<Enum, N>& names, Enum value) {
  for (const auto& [candidate, name] : names)
    if (candidate == value) return name;
  return "invalid";
}

/// Errors: kInvalidArgument, saying that `text` is no `what`.
template <typename Enum, std::size_t N>
Result<Enum> value_of(const Names<Enum, N>& names, std::string_view text, std::string_view what) {
  for (const auto& [value, name] : names)
    if (name == text) return value;
  return Error{ErrorCode::kInvalidArgument,
               "no such " + std::string(what) + ": " + escape_untrusted(text, 64)};
}

}  // namespace assay::catalog
