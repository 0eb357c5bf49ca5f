// SPDX-License-Identifier: Apache-2.0
// Lines of a text. Private to common/about.
#pragma once

#include <algorithm>
#include <string_view>

namespace assay::about {

/// Calls `visitor` with each line of `text`, without its line feed and a carriage return before it.
template <typename Visitor>
void each_line(std::string_view text, const Visitor& visitor) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    visitor(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace assay::about
