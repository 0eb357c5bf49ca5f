// SPDX-License-Identifier: Apache-2.0
// What a command answers: a tree of values, and how a person wants to see it. Commands build it and
// printers write it; nothing else formats. All text in it may be foreign: every printer escapes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/digest.h"

namespace assay::output {

class Value;
using Array = std::vector<Value>;
/// Members keep the order in which a command adds them; JSON shows them in that order.
using Object = std::vector<std::pair<std::string, Value>>;

/// One value of the tree. Times become RFC 3339, digests "sha256:…" in JSON.
class Value {
 public:
  using Storage = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, std::string,
                               WallTime, DigestBytes, Array, Object>;

  Value() = default;                                            ///< JSON null, "-" in a table
  Value(bool value) : storage_(value) {}                        // NOLINT: implicit
  Value(std::int64_t value) : storage_(value) {}                // NOLINT: implicit
  Value(std::uint64_t value) : storage_(value) {}               // NOLINT: implicit
  Value(std::uint32_t value) : Value(std::uint64_t{value}) {}   // NOLINT: implicit
  Value(std::string value) : storage_(std::move(value)) {}      // NOLINT: implicit
  Value(std::string_view value) : Value(std::string(value)) {}  // NOLINT: implicit
  Value(const char* value) : Value(std::string(value)) {}       // NOLINT: implicit
  Value(WallTime value) : storage_(value) {}                    // NOLINT: implicit
  Value(Array value) : storage_(std::move(value)) {}            // NOLINT: implicit
  Value(Object value) : storage_(std::move(value)) {}           // NOLINT: implicit
  template <typename Tag>
  Value(const Digest<Tag>& digest) : storage_(digest.bytes) {}  // NOLINT: implicit
  template <typename T>
  Value(const std::optional<T>& value) {  // NOLINT: implicit
    if (value) *this = Value(*value);
  }

  const Storage& storage() const { return storage_; }
  bool is_null() const { return std::holds_alternative<std::monostate>(storage_); }
  /// Null when this is not an array.
  const Array* array() const { return std::get_if<Array>(&storage_); }
  /// The value at `path` ("verdict.status", "stacks.0.layers"; "" is this one); null when there is
  /// none.
  const Value* find(std::string_view path) const;

 private:
  Storage storage_;
};

/// How a table shows a value; JSON does not know of it.
enum class Style {
  kPlain,
  kAge,       ///< a time as "3m12s" ago
  kVerdict,   ///< coloured by its word
  kDigest,    ///< 12 hex digits, all of them with `-o wide`
  kBytes,     ///< "206.1 MB"
  kDuration,  ///< signed nanoseconds as "12ms", "-1h0m"
};

struct Column {
  std::string header;  ///< upper case
  std::string path;    ///< below the row
  Style style = Style::kPlain;
  bool is_wide = false;  ///< only with `-o wide`
};

/// One table of rows, or one record as "HEADER: value" lines.
struct Section {
  std::string title = {};  ///< a line above it, "" for none
  std::string path = {};   ///< where its array (or record) is in the tree, "" for the root
  std::vector<Column> columns = {};
  bool is_record = false;
  std::string text = {};  ///< lines instead of a table, "" for none
};

struct Document {
  Value value = {};                    ///< JSON prints this
  std::vector<Section> sections = {};  ///< a table prints these
  std::string picture = {};            ///< SVG, of commands that draw
  std::string file = {};               ///< YAML, of commands that show what a file says
};

}  // namespace assay::output
