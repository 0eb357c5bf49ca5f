// SPDX-License-Identifier: Apache-2.0
#include "collector/query/page_token.h"

#include <algorithm>
#include <cstring>

#include "common/base/encoding.h"
#include "common/base/sha256.h"

namespace assay::collector {
namespace {

constexpr std::size_t kBindingBytes = 8;

std::string binding(std::string_view arguments) {
  return std::string(sha256(arguments).raw().substr(0, kBindingBytes));
}

}  // namespace

std::string make_page_token(const Cursor& cursor, std::string_view arguments) {
  std::string bytes = binding(arguments);
  bytes.append(reinterpret_cast<const char*>(&cursor.time_ns), sizeof(cursor.time_ns));
  bytes.append(reinterpret_cast<const char*>(&cursor.key), sizeof(cursor.key));
  return to_base64(bytes);
}

Result<std::optional<Cursor>> read_page_token(std::string_view token, std::string_view arguments) {
  if (token.empty()) return std::optional<Cursor>();
  const auto bytes = from_base64(token);
  Cursor cursor;
  if (!bytes || bytes->size() != kBindingBytes + sizeof(cursor.time_ns) + sizeof(cursor.key))
    return Error{ErrorCode::kInvalidArgument, "page_token is not one that this collector gave"};
  if (bytes->substr(0, kBindingBytes) != binding(arguments))
    return Error{ErrorCode::kInvalidArgument,
                 "page_token belongs to a list with other arguments: begin again without it"};
  std::memcpy(&cursor.time_ns, bytes->data() + kBindingBytes, sizeof(cursor.time_ns));
  std::memcpy(&cursor.key, bytes->data() + kBindingBytes + sizeof(cursor.time_ns),
              sizeof(cursor.key));
  return std::optional<Cursor>(cursor);
}

Result<int> page_size_of(int requested) {
  if (requested < 0) return Error{ErrorCode::kInvalidArgument, "page_size is negative"};
  if (requested == 0) return kDefaultPageSize;
  return std::min(requested, kMaxPageSize);
}

}  // namespace assay::collector
