// SPDX-License-Identifier: Apache-2.0
#include "agent/rootfs/layer_name.h"

#include <climits>

namespace assay::agent {

std::string unescape_lower_name(std::string_view name) {
  std::string plain;
  plain.reserve(name.size());
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool is_escape = name[i] == '\\' && i + 1 < name.size();
    if (is_escape) ++i;
    plain += name[i];
  }
  return plain;
}

bool is_usable_name(std::string_view name, bool is_truncated) {
  // A relative name was resolved in the working directory of a process that is long gone.
  return !is_truncated && name.size() > 1 && name.size() < PATH_MAX && name.front() == '/' &&
         name.find('\0') == std::string_view::npos;
}

}  // namespace assay::agent
