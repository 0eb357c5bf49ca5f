// SPDX-License-Identifier: Apache-2.0
// The collector's records as value trees: the field names of docs/cli.md are made here.
#pragma once

#include <algorithm>

#include "cli/client.h"
#include "cli/output/document.h"
#include "common/catalog/base_image.h"
#include "common/catalog/policy.h"

namespace assay::cli {

Value to_value(const Process& process);
Value to_value(const ContainerNames& names);
Value to_value(const Verdict& verdict);
Value to_value(const Run& run);
Value to_value(const Finding& finding);
Value to_value(const Degradation& degradation);
Value to_value(const Node& node);
Value to_value(const Containment& found);
Value to_value(const catalog::View& view);
Value to_value(const Layer& layer);
Value to_value(const Exec& exec);
Value to_value(const catalog::Login& login);
Value to_value(const catalog::Recognition& recognition);
Value to_value(const catalog::Posture& posture);
Value to_value(const RunOrigin& origin);
Value to_value(const ImpactRow& row);
Value to_value(const Impact& impact);
/// `now` decides whether a date, or a date by a rule of `policy`, has made it expired.
Value to_value(const catalog::Base& base, const catalog::Policy& policy, WallTime now);

/// What people call a container: its name, else the first 12 digits of its id or of the run's.
std::string container_text(const ContainerNames& names, const std::string& run_id);
/// NAME:VERSION of the base that names the run, "" when there is none.
std::string base_text(const Verdict& verdict);

template <typename Items>
Array to_array(const Items& items) {
  Array array;
  for (const auto& item : items)
    array.push_back(to_value(item));
  return array;
}
Array to_texts(const std::vector<std::string>& texts);

/// Rows of more than one cluster: then tables name it.
template <typename Rows>
bool has_several_clusters(const Rows& rows) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](const auto& row) { return row.cluster != rows.front().cluster; });
}

}  // namespace assay::cli
