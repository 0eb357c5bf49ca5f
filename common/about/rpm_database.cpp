// SPDX-License-Identifier: Apache-2.0
#include "common/about/rpm_database.h"

#include "common/about/package_text.h"
#include "common/about/rpm_header.h"
#include "common/base/encoding.h"
#include "common/sqlite/foreign_table.h"

namespace assay::about {

catalog::PackageDatabase read_rpm_sqlite(const ReadAt& file, bool keeps_list,
                                         const std::stop_token& stop) {
  catalog::PackageDatabase database;
  database.manager = "rpm";
  database.format = "sqlite";
  sqlite::ForeignLimits limits;
  limits.max_rows = kMaxPackages;
  std::uint64_t unreadable = 0;
  const auto take = [&](std::string_view blob) -> Result<void> {
    auto package = parse_rpm_header(blob);
    if (!package) {
      ++unreadable;
    } else if (package->name != "gpg-pubkey") {
      if (count_package(database) && keeps_list) database.list.push_back(std::move(*package));
    }
    return ok();
  };
  const auto read = sqlite::each_foreign_row(file, "Packages", "blob", limits, stop, take);
  if (!read)
    database.gap = escape_untrusted(read.error().text(), 256);
  else if (unreadable > 0)
    database.gap = std::to_string(unreadable) + " of its package headers are corrupt";
  return database;
}

}  // namespace assay::about
