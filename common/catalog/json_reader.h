// SPDX-License-Identifier: Apache-2.0
// Reads the members of one JSON object that must hold what we say and nothing else; internal to
// common/catalog.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/base/digest.h"
#include "common/base/result.h"

namespace assay::catalog {

/// Members are taken one by one; the first fault is kept, and whatever is taken after it is empty.
/// `fault` outlives the readers and is shared by those of nested objects.
class JsonReader {
 public:
  /// `where` names the object in messages, e.g. "predicate".
  JsonReader(const nlohmann::json& object, std::string where, std::optional<Error>& fault);

  /// The member, or nothing: a fault when `is_required`.
  const nlohmann::json* member(const char* name, bool is_required);
  /// Text of at most `max_bytes`; "" when it is absent and may be.
  std::string text(const char* name, bool is_required, std::size_t max_bytes);
  std::uint64_t number(const char* name, bool is_required,
                       std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
  std::optional<WallTime> time(const char* name, bool is_required);
  /// The elements; empty when the member is absent and may be.
  const nlohmann::json& array(const char* name, bool is_required, std::size_t max_items);
  template <typename D>
  std::optional<D> digest(const char* name, bool is_required) {
    const std::string spelled = text(name, is_required, 71);
    if (spelled.empty()) return std::nullopt;
    auto parsed = D::parse(spelled);
    if (parsed) return *parsed;
    fail(name, "is not a SHA-256 digest");
    return std::nullopt;
  }

  /// A member that was not taken is a fault: what a reader does not know it must not accept.
  void expect_no_more();
  void fail(std::string_view name, std::string_view what, ErrorCode code = ErrorCode::kCorrupt);
  bool is_good() const { return !fault_.has_value(); }
  const std::string& where() const { return where_; }

 private:
  const nlohmann::json& object_;
  std::string where_;
  std::optional<Error>& fault_;
  std::set<std::string> taken_;
};

}  // namespace assay::catalog
