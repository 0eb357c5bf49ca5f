// SPDX-License-Identifier: Apache-2.0
#include "agent/app/failure.h"

#include <cstdio>

#include "common/base/encoding.h"

namespace assay::agent {

ExitCode fail(const Error& error) {
  std::fprintf(stderr, "assay-agent: %s\n", escape_untrusted(error.text(), 2048).c_str());
  return exit_code_for(error);
}

ExitCode fail_to_probe(const Error& error) {
  const ExitCode code = fail(error);
  const bool is_missing_need =
      error.code == ErrorCode::kPermissionDenied || error.code == ErrorCode::kUnsupported;
  return is_missing_need ? ExitCode::kMissingNeed : code;
}

}  // namespace assay::agent
