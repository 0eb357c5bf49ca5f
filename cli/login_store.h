// SPDX-License-Identifier: Apache-2.0
// What `assay login` keeps: for each collector a token and whom to believe to be it, in a file that
// only its owner may read. A token is never shown to another collector than the one it was given
// for.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace assay::cli {

struct Login {
  std::string token;
  std::string ca;  ///< PEM; "": tls.ca
};

/// Files in one folder, named after the collectors' addresses. Not thread-safe.
class LoginStore {
 public:
  explicit LoginStore(std::string folder) : folder_(std::move(folder)) {}
  /// $XDG_CONFIG_HOME/assay/logins or ~/.config/assay/logins. Errors: kNotFound (neither is set).
  static Result<LoginStore> open_default();

  /// Errors: kUntrusted (others may read it; says the chmod that mends it), kCorrupt, kUnavailable.
  Result<std::optional<Login>> find(const std::string& collector) const;
  /// Errors: kPermissionDenied, kUnavailable.
  Result<void> keep(const std::string& collector, const Login& login) const;
  /// Whether there was one.
  Result<bool> forget(const std::string& collector) const;
  /// Addresses with a login, in order; none when the folder cannot be read.
  std::vector<std::string> collectors() const;
  std::string file_of(const std::string& collector) const { return folder_ + "/" + collector; }

 private:
  std::string folder_;
};

/// The token in the first line of `path`, whose mode must keep others out (Guard::kSecret).
/// Errors: kNotFound, kUntrusted (others may read it; says the chmod), kInvalidArgument (no token).
Result<std::string> read_token_file(const std::string& path);

/// `text` without white space around it, when it looks like a token. Errors: kInvalidArgument; what
/// was given is not in the message.
Result<std::string> parse_token(std::string_view text);

}  // namespace assay::cli
