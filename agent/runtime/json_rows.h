// SPDX-License-Identifier: Apache-2.0
// Large lists of JSON objects, read as a stream: only what is asked for is kept. Private to
// agent/runtime.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace assay::agent {

struct RowLimits {
  std::uint64_t max_bytes = 32ULL << 20;  ///< of the file
  std::size_t max_rows = 100'000;
  std::size_t max_text_bytes = 64U << 10;  ///< longer texts are taken for absent
  std::size_t max_list_items = 64;         ///< more are left out
  int max_depth = 64;
};

/// One object of the list. Texts and lists in the order of the fields that were asked for; what is
/// absent, or of another kind, is empty.
struct JsonRow {
  std::vector<std::string> texts;
  std::vector<std::vector<std::string>> lists;  ///< of texts only
};

struct RowFields {
  std::vector<std::string_view> texts;
  std::vector<std::string_view> lists;
};

/// Reads `[{…},{…},…]` from `fd` (its offset at the beginning) and hands over each object, until
/// `on_row` returns false. Memory is that of one row, and of the longest text in the file.
/// Blocks on disk. Errors: kCorrupt (no such JSON, not UTF-8, too deep), kLimitExceeded (a limit of
/// `limits`), kUnavailable.
Result<void> read_json_rows(int fd, const RowFields& fields, const RowLimits& limits,
                            const std::function<bool(const JsonRow&)>& on_row);

}  // namespace assay::agent
