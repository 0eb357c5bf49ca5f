// SPDX-License-Identifier: Apache-2.0
// The one error type: every operation that can fail returns Result<T>; nothing throws across a
// module.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace assay {

enum class ErrorCode {
  kInvalidArgument,  ///< the caller's input is wrong
  kNotFound,         ///< it is not there (any more)
  kAlreadyExists,
  kPermissionDenied,  ///< a missing capability, file mode or role
  kUnavailable,       ///< try again later: I/O error, peer away, port in use
  kLimitExceeded,     ///< a limit of ours, named in the message
  kCorrupt,           ///< foreign bytes break their format, or a digest does not match
  kUntrusted,         ///< a signature, key, sequence or certificate was refused
  kUnsupported,       ///< legal, but not something Assay can read here
  kCancelled,         ///< a stop was asked for
  kInternal,
};

/// Stable lower-case name of `code`, for logs and JSON.
std::string_view to_string(ErrorCode code);

struct [[nodiscard]] Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  int sys_errno = 0;  ///< errno of the failed system call, 0 when there was none

  /// The same error with "`what`: " before its message.
  Error with_context(std::string_view what) &&;
  /// One line: the message, and the errno's text when there is one.
  std::string text() const;
};

/// An error from errno as it stands now; `what` names the call and its object.
Error system_error(std::string_view what);
Error system_error(std::string_view what, int sys_errno);

/// Aborts with the expression's text: for broken invariants, never for input.
[[noreturn]] void assert_failed(const char* expression, const char* file, int line);
#define ASSAY_ASSERT(expression) \
  ((expression) ? void(0) : ::assay::assert_failed(#expression, __FILE__, __LINE__))

/// A value or an Error; the shape of std::expected (C++23). Reading the wrong side aborts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  explicit operator bool() const { return state_.index() == 0; }
  bool has_value() const { return state_.index() == 0; }

  T& value() & {
    ASSAY_ASSERT(has_value());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    ASSAY_ASSERT(has_value());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    ASSAY_ASSERT(has_value());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  Error& error() {
    ASSAY_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }
  const Error& error() const {
    ASSAY_ASSERT(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  explicit operator bool() const { return !error_.has_value(); }
  bool has_value() const { return !error_.has_value(); }
  Error& error() {
    ASSAY_ASSERT(error_.has_value());
    return *error_;
  }
  const Error& error() const {
    ASSAY_ASSERT(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

inline Result<void> ok() {
  return {};
}

}  // namespace assay

#define ASSAY_CONCAT_INNER(a, b) a##b
#define ASSAY_CONCAT(a, b) ASSAY_CONCAT_INNER(a, b)

/// Leaves the function with the error of `expression` when it failed.
#define ASSAY_TRY(...)                                                 \
  do {                                                                 \
    if (auto ASSAY_CONCAT(assay_result_, __LINE__) = (__VA_ARGS__);    \
        !ASSAY_CONCAT(assay_result_, __LINE__))                        \
      return std::move(ASSAY_CONCAT(assay_result_, __LINE__).error()); \
  } while (false)

/// Declares `declaration` from the value of the expression, or leaves the function with its error.
#define ASSAY_ASSIGN(declaration, ...)                               \
  auto ASSAY_CONCAT(assay_result_, __LINE__) = (__VA_ARGS__);        \
  if (!ASSAY_CONCAT(assay_result_, __LINE__))                        \
    return std::move(ASSAY_CONCAT(assay_result_, __LINE__).error()); \
  declaration = std::move(ASSAY_CONCAT(assay_result_, __LINE__)).value()
