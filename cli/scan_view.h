// SPDX-License-Identifier: Apache-2.0
// Scans as value trees and columns: the field names of docs/cli.md are made here.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cli/client.h"
#include "cli/output/document.h"
#include "common/catalog/catalog.h"

namespace assay::cli {

/// `total`, `unknown`, `low`, `medium`, `high`, `critical`.
Value to_value(const catalog::SeverityCounts& counts);
Object to_object(const Scan& scan);

/// Columns of the counts below `path` ("scan.counts."), as scanners print them.
void add_count_columns(std::vector<Column>& columns, const std::string& path);

/// By base (NAME:VERSION), of scans of the bases themselves; the last one of each counts.
std::map<std::string, Scan> by_base(const std::vector<Scan>& scans);
/// The scan of `base`, or null.
Value scan_of(const std::map<std::string, Scan>& scans, const catalog::Base& base);

}  // namespace assay::cli
