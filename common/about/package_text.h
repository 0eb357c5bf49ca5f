// SPDX-License-Identifier: Apache-2.0
// Package databases that are text: one block of lines a package, an empty line between two.
#pragma once

#include <string_view>

#include "common/catalog/about.h"

namespace assay::about {

/// Most packages that one database is believed to hold; beyond it the database has a gap.
inline constexpr std::uint64_t kMaxPackages = 200'000;

/// dpkg's status, whole or as one file of a status.d: blocks with a Package whose Status, where
/// there is one, says that it is there at all (neither not-installed nor config-files).
/// `keeps_list`: fill `list`, else only count. Source: dpkg(1), deb822(5).
catalog::PackageDatabase parse_dpkg_status(std::string_view text, bool keeps_list);

/// apk's installed: blocks with P (name), V (version) and A (architecture).
/// Source: apk-tools src/database.c, versions 2 and 3.
catalog::PackageDatabase parse_apk_installed(std::string_view text, bool keeps_list);

/// Counts one more package; false when kMaxPackages are there, which is a gap.
bool count_package(catalog::PackageDatabase& database);

}  // namespace assay::about
