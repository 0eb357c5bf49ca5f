// SPDX-License-Identifier: Apache-2.0
// Files that would give something away, or decide something, if the wrong user had them.
#pragma once

#include <cstddef>
#include <string>

#include "common/base/result.h"

namespace assay {

enum class Guard {
  /// A private key, a token: nobody but its owner may read it. One that belongs to root may be
  /// read by its group, as mounted secrets are. Source: PostgreSQL's rule for ssl_key_file.
  kSecret,
  /// What decides (configuration, trusted keys): nobody but root and the reader may write it.
  /// Source: OpenSSH's rule for ssh_config.
  kTrusted,
};

/// The bytes of `path`. The rule holds for regular files, of which the open one is looked at;
/// pipes have no mode that says anything. Thread-safe.
/// Errors: those of read_file(); kUntrusted (the wrong users may have it), with the command that
/// mends it.
Result<std::string> read_guarded_file(const std::string& path, std::size_t max_bytes, Guard guard);

}  // namespace assay
