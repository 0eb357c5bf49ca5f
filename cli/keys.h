// SPDX-License-Identifier: Apache-2.0
// Key files of people: read with an error that says which file is the right one, written once.
#pragma once

#include <string>
#include <utility>

#include "cli/terminal.h"
#include "common/base/result.h"
#include "common/base/unique_fd.h"
#include "common/catalog/signing.h"

namespace assay::cli {

/// The private key in `path` ("" is an error that names the flag). The passphrase of an encrypted
/// one is the first line of `passphrase_file`, or asked for when that is "". Errors:
/// kInvalidArgument (not a private key: a public one is named as such; a wrong passphrase; none,
/// and no terminal), kUntrusted (others may read one of the files), kNotFound, kPermissionDenied,
/// kUnsupported (another algorithm).
Result<catalog::SigningKey> load_signing_key(const std::string& path,
                                             const std::string& passphrase_file,
                                             Terminal& terminal);

/// A passphrase for a new key, as above; asked for twice. Errors: kInvalidArgument (shorter than 8
/// bytes, not the same twice, no terminal).
Result<std::string> new_passphrase(const std::string& passphrase_file, Terminal& terminal);

/// The public key in `path`, or that of the private key in it. Errors: as load_signing_key().
Result<catalog::PublicKey> load_public_key(const std::string& path);

/// A file that was not there yet, empty until write(). It is removed at the end of its life when
/// nothing was written.
class NewFile {
 public:
  /// Errors: kAlreadyExists, kPermissionDenied, kNotFound (no such folder).
  static Result<NewFile> create(const std::string& path, unsigned mode);
  NewFile(NewFile&& other) noexcept
      : path_(std::exchange(other.path_, "")), fd_(std::move(other.fd_)) {}
  NewFile& operator=(NewFile&&) = delete;
  ~NewFile();

  /// Once. Errors: kUnavailable.
  Result<void> write(std::string_view bytes);

 private:
  NewFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;  ///< to remove; empty: it stays
  UniqueFd fd_;
};

/// Writes a file that is not there yet, with `mode` from its first byte on, and syncs it.
/// Errors: kAlreadyExists, kPermissionDenied, kNotFound (no such folder), kUnavailable.
Result<void> write_new_file(const std::string& path, std::string_view bytes, unsigned mode);

}  // namespace assay::cli
