// SPDX-License-Identifier: Apache-2.0
// What must hold of every database of packages, whatever it was read from.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "common/base/encoding.h"
#include "common/catalog/about.h"

namespace assay::fuzz {

inline void check(const catalog::Package& package) {
  if (package.name.empty() || package.name.size() > 128 || package.version.size() > 300)
    std::abort();
  for (const std::string& text : {package.name, package.version, package.architecture})
    if (to_plain_text(text, text.size()) != text) std::abort();
}

/// The same bytes read with and without a list.
inline void check(const catalog::PackageDatabase& listed, const catalog::PackageDatabase& counted) {
  if (listed.packages != listed.list.size() || !counted.list.empty()) std::abort();
  if (listed.packages != counted.packages || listed.gap != counted.gap) std::abort();
  for (const catalog::Package& package : listed.list)
    check(package);
}

}  // namespace assay::fuzz
