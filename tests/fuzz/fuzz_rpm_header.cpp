// SPDX-License-Identifier: Apache-2.0
// Any bytes as the header of an rpm package.
#include "common/about/rpm_header.h"
#include "tests/fuzz/package_checks.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto package = assay::about::parse_rpm_header({reinterpret_cast<const char*>(data), size});
  if (package) assay::fuzz::check(*package);
  return 0;
}
