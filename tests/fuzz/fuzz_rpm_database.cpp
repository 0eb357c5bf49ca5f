// SPDX-License-Identifier: Apache-2.0
// Any bytes as rpmdb.sqlite: SQLite behind our own file layer and limits.
#include "common/about/rpm_database.h"
#include "tests/fuzz/package_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const assay::MemoryBytes bytes({reinterpret_cast<const char*>(data), size});
  assay::fuzz::check(assay::about::read_rpm_sqlite(bytes, true, {}),
                     assay::about::read_rpm_sqlite(bytes, false, {}));
  return 0;
}
