// SPDX-License-Identifier: Apache-2.0
// Any bytes as this database of packages: as many in the list as are counted.
#include "common/about/package_text.h"
#include "tests/fuzz/package_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  assay::fuzz::check(assay::about::parse_apk_installed(text, true),
                     assay::about::parse_apk_installed(text, false));
  return 0;
}
