// SPDX-License-Identifier: Apache-2.0
#include "common/base/exit_code.h"

namespace assay {

ExitCode exit_code_for(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kAlreadyExists:
      return ExitCode::kUsage;
    case ErrorCode::kPermissionDenied:
    case ErrorCode::kUnsupported:
      return ExitCode::kMissingNeed;
    case ErrorCode::kUntrusted:
      return ExitCode::kRefused;
    case ErrorCode::kUnavailable:
    case ErrorCode::kCancelled:
      return ExitCode::kUnavailable;
    case ErrorCode::kCorrupt:
    case ErrorCode::kLimitExceeded:
      return ExitCode::kBadInput;
    case ErrorCode::kNotFound:
      return ExitCode::kNotFound;
    case ErrorCode::kInternal:
      return ExitCode::kInternal;
  }
  return ExitCode::kInternal;
}

}  // namespace assay
