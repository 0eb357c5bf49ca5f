// SPDX-License-Identifier: Apache-2.0
// main() of every test binary. A binary states what it needs (tests/support/needs.h); when that is
// missing, or a part of its tests noted that something is, it prints SKIPPED and the reason, and
// ends with 77, which CTest counts as skipped.
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <cstdio>
#include <set>

#include "tests/support/needs.h"

namespace assay::tests {
namespace {

std::set<std::string>& noted() {
  static std::set<std::string> reasons;
  return reasons;
}

}  // namespace

void note_missing(const std::string& what) {
  noted().insert(what);
}

// Replaced by the binary's own definition when it needs something.
__attribute__((weak)) std::string missing_need() {
  return {};
}
}  // namespace assay::tests

int main(int argc, char** argv) {
  const std::string missing = assay::tests::missing_need();
  if (!missing.empty()) {
    std::printf("SKIPPED: %s\n", missing.c_str());
    return 77;
  }
  const int failed = Catch::Session().run(argc, argv);
  for (const std::string& reason : assay::tests::noted())
    std::printf("SKIPPED: %s\n", reason.c_str());
  return failed == 0 && !assay::tests::noted().empty() ? 77 : failed;
}
