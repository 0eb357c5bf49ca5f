// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "common/base/clock.h"
#include "common/output/document.h"

namespace assay::output {

struct TableOptions {
  bool is_wide = false;
  bool has_headers = true;
  bool has_colour = false;  ///< for verdicts only
  WallTime now{};           ///< ages count up to here
};

/// `document` as kubectl-like aligned columns. All text passes escape_once(); columns are
/// aligned by what a terminal shows, not by bytes. A section without rows leaves no trace; a
/// record leaves out absent values unless it is wide.
std::string to_table(const Document& document, const TableOptions& options);

/// "45s", "3m12s", "5h3m", "2d4h", "120d"; "0s" for what lies in the future.
std::string format_age(std::chrono::nanoseconds age);
/// The same with a sign and, below ten seconds, in milliseconds: "0ms", "-340ms", "1h0m".
std::string format_duration(std::chrono::nanoseconds length);
/// "512 B", "206.1 MB": decimal units.
std::string format_bytes(std::uint64_t bytes);
/// Columns that `text` (UTF-8, escaped) takes on a terminal.
std::size_t display_width(std::string_view text);

}  // namespace assay::output
