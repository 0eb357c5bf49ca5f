// SPDX-License-Identifier: Apache-2.0
// Where layers say what they are: what is read and what is merged are the same paths.
#pragma once

#include <array>
#include <string_view>

namespace assay::catalog {

/// The first one that is there counts. Source: os-release(5).
inline constexpr std::array<std::string_view, 2> kOsReleasePaths{"etc/os-release",
                                                                 "usr/lib/os-release"};
/// Source: dpkg(1), FILES.
inline constexpr std::string_view kDpkgStatusPath = "var/lib/dpkg/status";
/// A file a package, and sums beside it that end in .md5sums: distroless.
inline constexpr std::string_view kDpkgStatusFolder = "var/lib/dpkg/status.d";
/// Source: apk-tools src/database.c, versions 2 and 3.
inline constexpr std::array<std::string_view, 2> kApkInstalledPaths{"lib/apk/db/installed",
                                                                    "usr/lib/apk/db/installed"};
/// In each folder the first file that is there counts. Source: rpm macros.in (_dbpath), Fedora and
/// SUSE since 2021, rpm-ostree; lib/backend/{sqlite.c,ndb/glue.c,bdb_ro.c}.
inline constexpr std::array<std::string_view, 3> kRpmFolders{"var/lib/rpm", "usr/lib/sysimage/rpm",
                                                             "usr/share/rpm"};
inline constexpr std::string_view kRpmSqliteFile = "rpmdb.sqlite";
inline constexpr std::string_view kRpmSqliteLogFile = "rpmdb.sqlite-wal";
inline constexpr std::string_view kRpmNdbFile = "Packages.db";
inline constexpr std::string_view kRpmBdbFile = "Packages";

}  // namespace assay::catalog
