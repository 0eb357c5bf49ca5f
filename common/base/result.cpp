// SPDX-License-Identifier: Apache-2.0
#include "common/base/result.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace assay {

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid-argument";
    case ErrorCode::kNotFound:
      return "not-found";
    case ErrorCode::kAlreadyExists:
      return "already-exists";
    case ErrorCode::kPermissionDenied:
      return "permission-denied";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kLimitExceeded:
      return "limit-exceeded";
    case ErrorCode::kCorrupt:
      return "corrupt";
    case ErrorCode::kUntrusted:
      return "untrusted";
    case ErrorCode::kUnsupported:
      return "unsupported";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kInternal:
      return "internal";
  }
  return "unknown";
}

Error Error::with_context(std::string_view what) && {
  message = std::string(what) + ": " + message;
  return std::move(*this);
}

std::string Error::text() const {
  if (sys_errno == 0) return message;
  char buffer[128];
  return message + ": " + strerror_r(sys_errno, buffer, sizeof(buffer));
}

Error system_error(std::string_view what) {
  return system_error(what, errno);
}

Error system_error(std::string_view what, int sys_errno) {
  ErrorCode code = ErrorCode::kUnavailable;
  switch (sys_errno) {
    case ENOENT:
    case ESRCH:
    case ESTALE:
    case ENOTDIR:
      code = ErrorCode::kNotFound;
      break;
    case EACCES:
    case EPERM:
      code = ErrorCode::kPermissionDenied;
      break;
    case EEXIST:
      code = ErrorCode::kAlreadyExists;
      break;
    case EINVAL:
      code = ErrorCode::kInvalidArgument;
      break;
    case ENOSYS:
    case EOPNOTSUPP:
    case ENOTTY:
      code = ErrorCode::kUnsupported;
      break;
    default:
      break;
  }
  return Error{code, std::string(what), sys_errno};
}

void assert_failed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "assay: broken invariant at %s:%d: %s\n", file, line, expression);
  std::abort();
}

}  // namespace assay
