// SPDX-License-Identifier: Apache-2.0
#include "cli/scan_view.h"

namespace assay::cli {

Value to_value(const catalog::SeverityCounts& counts) {
  return Object{{"total", counts.total()}, {"unknown", counts.unknown},
                {"low", counts.low},       {"medium", counts.medium},
                {"high", counts.high},     {"critical", counts.critical}};
}

Object to_object(const Scan& scan) {
  return {{"base", scan.base},
          {"digest", scan.digest},
          {"format", scan.format},
          {"tool", scan.tool},
          {"tool_version", scan.tool_version},
          {"scope", scan.scope},
          {"matched_by", scan.matched_by},
          {"image", scan.image},
          {"image_id", scan.image_id},
          {"scanned_at", scan.scanned_at},
          {"is_time_said", scan.is_time_said},
          {"imported_at", scan.imported_at},
          {"imported_by", scan.imported_by},
          {"counts", to_value(scan.counts)},
          {"excluded", scan.excluded},
          {"application", scan.application},
          {"unattributed", scan.unattributed}};
}

void add_count_columns(std::vector<Column>& columns, const std::string& path) {
  columns.push_back({"TOTAL", path + "total"});
  columns.push_back({"UNKNOWN", path + "unknown"});
  columns.push_back({"LOW", path + "low"});
  columns.push_back({"MEDIUM", path + "medium"});
  columns.push_back({"HIGH", path + "high"});
  columns.push_back({"CRITICAL", path + "critical"});
}

std::map<std::string, Scan> by_base(const std::vector<Scan>& scans) {
  std::map<std::string, Scan> found;
  for (const Scan& scan : scans)
    if (scan.scope == "base") found.insert_or_assign(scan.base, scan);
  return found;
}

Value scan_of(const std::map<std::string, Scan>& scans, const catalog::Base& base) {
  const auto found = scans.find(base.id.text());
  return found == scans.end() ? Value() : Value(to_object(found->second));
}

}  // namespace assay::cli
