// SPDX-License-Identifier: Apache-2.0
#include "common/base/build_info.h"

#include "build_commit.h"

namespace assay {
namespace {

#if defined(__clang__)
constexpr const char* kCompiler = "clang " __clang_version__;
#else
constexpr const char* kCompiler = "gcc " __VERSION__;
#endif

}  // namespace

BuildInfo build_info() {
  return {ASSAY_VERSION, ASSAY_COMMIT, kCompiler, ASSAY_BUILD_FLAGS};
}

std::string version_text(const std::string& program) {
  const BuildInfo info = build_info();
  return program + " " + info.version + "\ncommit " + info.commit + "\ncompiler " + info.compiler +
         "\nflags " + info.flags + "\n";
}

}  // namespace assay
