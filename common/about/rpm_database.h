// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stop_token>

#include "common/base/read_at.h"
#include "common/catalog/about.h"

namespace assay::about {

/// The packages of an rpmdb.sqlite; public keys are not counted. What cannot be read is its gap.
/// Blocks on `file`; checks `stop`. Source: rpm lib/backend/sqlite.c (table Packages).
catalog::PackageDatabase read_rpm_sqlite(const ReadAt& file, bool keeps_list,
                                         const std::stop_token& stop);

}  // namespace assay::about
